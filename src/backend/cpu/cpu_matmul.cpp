// Products and what is done with their tiles while they are in the cache.

#include <algorithm>

#include "cpu/cpu_backend.h"
#include "cpu/flush_denormals.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cpu {

int CpuBackend::product_threads(std::int64_t rows, const CpuMatrix& w) const {
    // Multiply-adds by sixteen, or weights from memory at two bytes each.
    const double macs = static_cast<double>(rows) * static_cast<double>(w.n() * w.k());
    return threads_for(std::max(macs / 16, static_cast<double>(w.bytes()) / 2));
}

template <typename Write>
void CpuBackend::product(const Tensor& x, const CpuMatrix& w, const Write& write) {
    if (x.rows() == 0) return;
    const int threads = product_threads(x.rows(), w);
    Product product(x, w, kernels_, pool_, threads, product_scratch_);
    // A task is a few panels against a run, small enough that no thread waits long for the last
    // one, and as many for each thread if all are equally fast.
    const std::int64_t wanted = std::max<std::int64_t>(2, product.max_panels());
    const std::int64_t tasks = (w.panels() + wanted - 1) / wanted;
    const std::int64_t ranges = std::min((tasks + threads - 1) / threads * threads, w.panels());
    const auto task = [&](std::int64_t index, int thread) {
        const FlushDenormals flush(w.dtype());
        const std::int64_t range = index % ranges, run = index / ranges;
        product.each_tile(range * w.panels() / ranges, (range + 1) * w.panels() / ranges, run,
                          thread, write);
    };
    pool_.run(threads, product.runs() * ranges, task, true);
}

void CpuBackend::matmul(const Tensor& x, const Matrix& matrix, const Tensor& bias,
                        const Tensor& y) {
    const auto& w = dynamic_cast<const CpuMatrix&>(matrix);
    if (y.row_size() != w.n() || y.rows() != x.rows()) {
        throw InternalError(cat("matmul: x ", to_string(x.shape()), ", w [", w.n(), ", ", w.k(),
                                "], y ", to_string(y.shape())));
    }
    const float* added = bias.empty() ? nullptr : bias.as<float>();
    const auto end = [&](std::int64_t first, std::int64_t rows, std::int64_t panel,
                         const float* tile) {
        const std::int64_t begin = panel * kPanel;
        kernels_.store_rows(rows, std::min<std::int64_t>(kPanel, w.n() - begin), tile,
                            added ? added + begin : nullptr,
                            y.as<float>() + first * y.row_stride() + begin, y.row_stride());
    };
    product(x, w, end);
}

void CpuBackend::matmul_add(const Tensor& x, const Matrix& matrix, const Tensor& bias,
                            const Tensor& residual) {
    const auto& w = dynamic_cast<const CpuMatrix&>(matrix);
    const std::int64_t rows = residual.rows(), n = residual.row_size();
    if (n != w.n() || rows != x.rows()) {
        throw InternalError(cat("matmul_add: x ", to_string(x.shape()), ", w [", w.n(), ", ", w.k(),
                                "], residual ", to_string(residual.shape())));
    }
    if (tp_size() > 1) {
        const Tensor partial(room_for_partial(rows * n), DType::f32, {rows, n}, nullptr);
        matmul(x, matrix, {}, partial);
        fold_partial(w.dtype(), partial, bias, residual);
        return;
    }
    const float* added = bias.empty() ? nullptr : bias.as<float>();
    const std::int64_t stride = residual.row_stride();
    const auto end = [&](std::int64_t first, std::int64_t count, std::int64_t panel,
                         const float* tile) {
        const std::int64_t begin = panel * kPanel;
        kernels_.add_rows(count, std::min<std::int64_t>(kPanel, n - begin), tile,
                          added ? added + begin : nullptr,
                          residual.as<float>() + first * stride + begin, stride);
    };
    product(x, w, end);
}

void CpuBackend::matmul_silu_mul(const Tensor& x, const Matrix& matrix, const Tensor& bias,
                                 const Tensor& out) {
    const auto& w = dynamic_cast<const CpuMatrix&>(matrix);
    constexpr std::int64_t kHalf = kPanel / 2;
    const std::int64_t f = out.row_size();
    if (2 * f != w.n() || out.rows() != x.rows()) {
        throw InternalError(cat("matmul_silu_mul: x ", to_string(x.shape()), ", w [", w.n(), ", ",
                                w.k(), "], out ", to_string(out.shape())));
    }
    const float* added = bias.empty() ? nullptr : bias.as<float>();
    auto* bytes = static_cast<std::byte*>(out.data());
    const auto end = [&](std::int64_t first, std::int64_t rows, std::int64_t panel,
                         const float* tile) {
        const std::int64_t begin = panel * kHalf;
        const auto element = static_cast<std::size_t>(first * out.row_stride() + begin);
        kernels_.silu_rows(rows, std::min(kHalf, f - begin), tile, added ? added + begin : nullptr,
                           added ? added + f + begin : nullptr, out.dtype(),
                           bytes + element * size_of(out.dtype()), out.row_stride());
    };
    product(x, w, end);
}

}  // namespace muster::cpu
