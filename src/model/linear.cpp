#include "linear.h"

namespace muster {

std::uint64_t vector_bytes(const Tensor& vector) {
    return vector.empty() ? 0 : static_cast<std::uint64_t>(vector.rows()) * size_of(vector.dtype());
}

ColumnParallelLinear::ColumnParallelLinear(Weights& weights,
                                           const std::vector<Projection>& projections,
                                           std::int64_t k, bool bias) {
    std::vector<WeightSlice> slices, biases;
    for (const Projection& p : projections) {
        slices.push_back(WeightSlice::row_range(p.name + ".weight", p.rows, k, p.begin, p.end));
        biases.push_back(WeightSlice::vector(p.name + ".bias", p.rows, p.begin, p.end));
    }
    matrix_ = weights.matrix(slices, 1);
    if (bias) bias_ = weights.vector(biases);
}

void ColumnParallelLinear::forward(Backend& backend, const Tensor& x, const Tensor& y) const {
    backend.matmul(x, *matrix_, bias_, y);
}

std::uint64_t ColumnParallelLinear::bytes() const {
    return matrix_->bytes() + vector_bytes(bias_);
}

RowParallelLinear::RowParallelLinear(Weights& weights, const std::string& name, std::int64_t n,
                                     std::int64_t k, std::int64_t k_begin, std::int64_t k_end,
                                     int k_shards, bool bias) {
    matrix_ = weights.matrix({WeightSlice::column_range(name + ".weight", n, k, k_begin, k_end)},
                             k_shards);
    if (bias) bias_ = weights.vector({WeightSlice::vector(name + ".bias", n, 0, n)});
}

void RowParallelLinear::forward(Backend& backend, const Tensor& x, const Tensor& partial,
                                const Tensor& gathered, const Tensor& residual) const {
    backend.matmul(x, *matrix_, {}, partial);
    const std::int64_t rows = partial.rows(), n = partial.row_size(), tp = backend.tp_size();
    const Tensor& sums = tp > 1 ? gathered : partial;
    const Tensor partials(sums.data(), DType::f32, {tp, rows, n}, nullptr);
    if (tp > 1) backend.all_gather(partial, partials);
    backend.add_partials(partials, bias_, residual);
}

std::uint64_t RowParallelLinear::bytes() const {
    return matrix_->bytes() + vector_bytes(bias_);
}

}  // namespace muster
