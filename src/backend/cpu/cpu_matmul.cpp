// Products and what is done with their tiles while they are in the cache.

#include <algorithm>

#include "cpu/cpu_backend.h"
#include "cpu/flush_denormals.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cpu {

namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

}  // namespace

template <typename Write>
void CpuBackend::product(const Tensor& x, const CpuMatrix& w, const Write& write) {
    if (x.rows() == 0) return;
    const double macs = static_cast<double>(x.rows()) * static_cast<double>(w.n() * w.k());
    const int threads = threads_for(macs / 16);
    Product product(x, w, kernels_, pool_, threads, product_scratch_);
    // A task is a range of panels against a run; more tasks than threads, for threads that are held
    // up by others.
    const std::int64_t ranges =
        std::min(ceil_div(w.panels(), product.max_panels()), std::int64_t{4} * threads);
    const auto task = [&](std::int64_t index, int thread) {
        const FlushDenormals flush(w.dtype());
        const std::int64_t range = index % ranges, run = index / ranges;
        const std::int64_t rows = product.num_rows(run), end = (range + 1) * w.panels() / ranges;
        for (std::int64_t first = range * w.panels() / ranges; first < end;) {
            const std::int64_t count = std::min(product.max_panels(), end - first);
            const float* sums = product.multiply(first, count, run, thread);
            for (std::int64_t row = 0; row < rows; row += kTileRows) {
                for (std::int64_t p = 0; p < count; ++p) {
                    write(product.first_row(run) + row,
                          std::min<std::int64_t>(kTileRows, rows - row), first + p,
                          sums + p * product.panel_stride() + row * kPanel);
                }
            }
            first += count;
        }
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
    product(x, w,
            [&](std::int64_t first, std::int64_t rows, std::int64_t panel, const float* tile) {
                const std::int64_t begin = panel * kPanel;
                const std::int64_t columns = std::min<std::int64_t>(kPanel, w.n() - begin);
                for (std::int64_t r = 0; r < rows; ++r) {
                    float* to = y.as<float>() + (first + r) * y.row_stride() + begin;
                    const float* from = tile + r * kPanel;
                    for (std::int64_t c = 0; c < columns; ++c)
                        to[c] = added ? from[c] + added[begin + c] : from[c];
                }
            });
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
    product(x, w,
            [&](std::int64_t first, std::int64_t tile_rows, std::int64_t panel, const float* tile) {
                const std::int64_t begin = panel * kPanel;
                const std::int64_t columns = std::min<std::int64_t>(kPanel, n - begin);
                for (std::int64_t r = 0; r < tile_rows; ++r) {
                    float* to = residual.as<float>() + (first + r) * residual.row_stride() + begin;
                    const float* from = tile + r * kPanel;
                    for (std::int64_t c = 0; c < columns; ++c)
                        to[c] += added ? from[c] + added[begin + c] : from[c];
                }
            });
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
    product(
        x, w, [&](std::int64_t first, std::int64_t rows, std::int64_t panel, const float* tile) {
            const std::int64_t begin = panel * kHalf, n = std::min(kHalf, f - begin);
            for (std::int64_t r = 0; r < rows; ++r) {
                const float *gate = tile + r * kPanel, *up = gate + kHalf;
                float biased[kPanel];
                if (added) {
                    for (std::int64_t i = 0; i < n; ++i) {
                        biased[i] = gate[i] + added[begin + i];
                        biased[kHalf + i] = up[i] + added[f + begin + i];
                    }
                    gate = biased;
                    up = biased + kHalf;
                }
                const std::int64_t element = (first + r) * out.row_stride() + begin;
                kernels_.silu_mul(gate, up, n, out.dtype(),
                                  bytes + static_cast<std::size_t>(element) * size_of(out.dtype()));
            }
        });
}

}  // namespace muster::cpu
