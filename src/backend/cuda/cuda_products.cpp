// Products with weights. What belongs to several shards or ranks is added by one tree, whichever
// way the parts travel.

#include <algorithm>

#include "cuda/cuda_backend.h"
#include "cuda/elementwise.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

const CudaMatrix& cuda_matrix(const Matrix& w, bool gated, const char* operation) {
    const auto& matrix = dynamic_cast<const CudaMatrix&>(w);
    if (matrix.gated() != gated)
        throw InternalError(cat(operation, ": the weights were loaded for another operation"));
    return matrix;
}

namespace {

void check_shapes(const char* operation, const Tensor& x, const CudaMatrix& w, const Tensor& y,
                  std::int64_t y_columns) {
    if (x.row_size() != w.k() || x.dtype() != w.dtype() || y.row_size() != y_columns ||
        y.rows() != x.rows()) {
        throw InternalError(cat(operation, ": x ", to_string(x.shape()), ", w [", w.n(), ", ",
                                w.k(), "], y ", to_string(y.shape())));
    }
}

const float* floats_of(const Tensor& tensor) {
    return tensor.empty() ? nullptr : tensor.as<float>();
}

}  // namespace

Product CudaBackend::product(const Tensor& x, const CudaMatrix& w, std::int64_t begin,
                             std::int64_t rows, float* y, std::int64_t y_stride) const {
    Product p;
    p.type = w.dtype();
    p.m = rows;
    p.n = w.n();
    p.k = w.k() / w.k_shards();
    p.x = static_cast<const std::byte*>(x.data()) +
          static_cast<std::size_t>(begin * x.row_stride()) * size_of(w.dtype());
    p.x_stride = x.row_stride();
    p.w = w.data();
    p.w_stride = w.k();
    p.y = y;
    p.y_stride = y_stride;
    p.shards = w.k_shards();
    p.y_shard = rows * y_stride;
    return p;
}

void CudaBackend::multiply_parts(const Tensor& x, const CudaMatrix& w, std::int64_t begin,
                                 std::int64_t rows, float* parts) {
    multiplier_->multiply(product(x, w, begin, rows, parts, w.n()), stream_);
}

void CudaBackend::matmul(const Tensor& x, const Matrix& matrix, const Tensor& bias,
                         const Tensor& y) {
    const CudaMatrix& w = cuda_matrix(matrix, false, "matmul");
    check_shapes("matmul", x, w, y, w.n());
    if (x.rows() == 0) return;
    if (w.k_shards() == 1) {
        multiplier_->multiply(product(x, w, 0, x.rows(), y.as<float>(), y.row_stride()), stream_);
    } else {
        const SumScratch sizes = sum_scratch(x.rows(), w.n(), w.k_shards(), 1);
        auto* parts = reinterpret_cast<float*>(scratch(sizes.total()));
        for (std::int64_t begin = 0; begin < x.rows(); begin += sizes.rows) {
            const std::int64_t rows = std::min(sizes.rows, x.rows() - begin);
            multiply_parts(x, w, begin, rows, parts);
            fold({parts, rows * w.n(), w.k_shards()}, 0, rows * w.n(), w.n(), nullptr, false,
                 y.as<float>() + begin * y.row_stride(), y.row_stride(), stream_);
        }
    }
    if (!bias.empty())
        add_bias(y.as<float>(), y.row_stride(), bias.as<float>(), y.rows(), w.n(), stream_);
}

void CudaBackend::matmul_add(const Tensor& x, const Matrix& w, const Tensor& bias,
                             const Tensor& residual) {
    add_product(x, w, {bias, residual, nullptr, {}});
}

void CudaBackend::matmul_add_norm(const Tensor& x, const Matrix& w, const Tensor& bias,
                                  const Tensor& residual, const RmsNorm& norm, const Tensor& out) {
    add_product(x, w, {bias, residual, &norm, out});
}

void CudaBackend::add_product(const Tensor& x, const Matrix& matrix, const SumTarget& target) {
    const CudaMatrix& w = cuda_matrix(matrix, false, "matmul_add");
    const Tensor& residual = target.residual;
    check_shapes("matmul_add", x, w, residual, w.n());
    if (x.rows() == 0) return;
    const int shards = w.k_shards();
    if (shards == 1 && !copies_ && target.bias.empty()) {
        Product p = product(x, w, 0, x.rows(), residual.as<float>(), residual.row_stride());
        p.accumulate = true;
        multiplier_->multiply(p, stream_);
        if (target.norm != nullptr) norm_into({}, nullptr, residual, *target.norm, target.out);
        return;
    }
    // With one shard on one rank there is one part: only the bias is added behind it.
    SumScratch sizes = sum_scratch(x.rows(), w.n(), shards, tp_size());
    if (shards == 1 && !copies_) sizes.parts = static_cast<std::uint64_t>(sizes.rows * w.n()) * 4;
    std::byte* memory = scratch(sizes.total());
    auto* parts =
        reinterpret_cast<float*>(sizes.parts > 0 ? memory : memory + block_bytes(sizes.parts));
    for (std::int64_t begin = 0; begin < x.rows(); begin += sizes.rows) {
        const std::int64_t rows = std::min(sizes.rows, x.rows() - begin);
        multiply_parts(x, w, begin, rows, parts);
        const Fold fold_shards{parts, rows * w.n(), shards};
        const SumTarget to = target.rows(begin, begin + rows);
        if (copies_)
            add_over_group(sizes, memory, fold_shards, to);
        else
            add_parts(fold_shards, to);
    }
}

void CudaBackend::add_parts(const Fold& parts, const SumTarget& target) {
    const Tensor& to = target.residual;
    if (target.norm != nullptr)
        norm_into(parts, floats_of(target.bias), to, *target.norm, target.out);
    else
        fold(parts, 0, to.rows() * to.row_size(), to.row_size(), floats_of(target.bias), true,
             to.as<float>(), to.row_stride(), stream_);
}

void CudaBackend::add_over_group(const SumScratch& sizes, std::byte* memory, const Fold& parts,
                                 const SumTarget& target) {
    const std::int64_t total = target.residual.rows() * target.residual.row_size();
    const int tp = tp_size();
    auto* own = reinterpret_cast<float*>(memory + block_bytes(sizes.parts));
    auto* received =
        reinterpret_cast<float*>(memory + block_bytes(sizes.parts) + block_bytes(sizes.own));
    if (parts.count > 1) fold(parts, 0, total, total, nullptr, false, own, total, stream_);
    const auto bytes = static_cast<std::size_t>(total) * sizeof(float);
    if (static_cast<std::int64_t>(bytes) <= kSmallSum) {
        copies_->all_gather(own, received, bytes, stream_);
        add_parts({received, total, tp}, target);
        return;
    }
    // Every rank adds up one of `tp` equal parts; the last one may end in what is never used.
    const std::int64_t part = (total + tp - 1) / tp;
    const auto part_bytes = static_cast<std::size_t>(part) * sizeof(float);
    copies_->all_to_all(own, received, part_bytes, stream_);
    float* mine = own + tp_rank() * part;
    fold({received, part, tp}, 0, part, part, nullptr, false, mine, part, stream_);
    copies_->all_gather(mine, own, part_bytes, stream_);
    add_parts({own, 0, 1}, target);
}

// The products stay f32 until they are multiplied: they are rounded where the CPU rounds them, and
// silu of values far below zero keeps its relative accuracy.
void CudaBackend::matmul_silu_mul(const Tensor& x, const Matrix& matrix, const Tensor& bias,
                                  const Tensor& out) {
    const CudaMatrix& w = cuda_matrix(matrix, true, "matmul_silu_mul");
    check_shapes("matmul_silu_mul", x, w, out, w.n() / 2);
    const std::int64_t f = out.row_size(), at_once = gated_rows(x.rows(), f);
    auto* both = reinterpret_cast<float*>(scratch(gated_bytes(x.rows(), f)));
    for (std::int64_t begin = 0; begin < x.rows(); begin += at_once) {
        const std::int64_t rows = std::min(at_once, x.rows() - begin);
        multiplier_->multiply(product(x, w, begin, rows, both, w.n()), stream_);
        const Tensor to = out.row_range(begin, begin + rows);
        silu_mul(out.dtype(), both, floats_of(bias), rows, f, to.data(), to.row_stride(), stream_);
    }
}

}  // namespace muster::cuda
