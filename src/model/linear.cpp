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

GatedLinear::GatedLinear(Weights& weights, const Projection& gate, const Projection& up,
                         std::int64_t k, bool bias) {
    const auto slice = [k](const Projection& p) {
        return WeightSlice::row_range(p.name + ".weight", p.rows, k, p.begin, p.end);
    };
    const auto bias_slice = [](const Projection& p) {
        return WeightSlice::vector(p.name + ".bias", p.rows, p.begin, p.end);
    };
    matrix_ = weights.gate_up(slice(gate), slice(up));
    if (bias) bias_ = weights.vector({bias_slice(gate), bias_slice(up)});
}

void GatedLinear::forward(Backend& backend, const Tensor& x, const Tensor& out) const {
    backend.matmul_silu_mul(x, *matrix_, bias_, out);
}

std::uint64_t GatedLinear::bytes() const {
    return matrix_->bytes() + vector_bytes(bias_);
}

RowParallelLinear::RowParallelLinear(Weights& weights, const std::string& name, std::int64_t n,
                                     std::int64_t k, std::int64_t k_begin, std::int64_t k_end,
                                     int k_shards, bool bias) {
    matrix_ = weights.matrix({WeightSlice::column_range(name + ".weight", n, k, k_begin, k_end)},
                             k_shards);
    if (bias) bias_ = weights.vector({WeightSlice::vector(name + ".bias", n, 0, n)});
}

void RowParallelLinear::forward(Backend& backend, const Tensor& x, const Tensor& residual,
                                const RmsNorm* norm, const Tensor& normed) const {
    if (norm == nullptr)
        backend.matmul_add(x, *matrix_, bias_, residual);
    else
        backend.matmul_add_norm(x, *matrix_, bias_, residual, *norm, normed);
}

std::uint64_t RowParallelLinear::bytes() const {
    return matrix_->bytes() + vector_bytes(bias_);
}

}  // namespace muster
