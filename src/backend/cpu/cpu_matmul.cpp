// y = x · wᵀ. Rows are packed once into blocks of kTileRows as f32 (exact: they already have the
// compute type's precision); each task then runs one weight panel against a run of row blocks.

#include <algorithm>

#include "cpu/cpu_backend.h"
#include "cpu/tree.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cpu {

namespace {

constexpr int kTile = kTileRows * kPanel;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

}  // namespace

const float* CpuBackend::pack_rows(const Tensor& x) {
    const std::int64_t rows = x.rows(), k = x.row_size(), blocks = ceil_div(rows, kTileRows);
    constexpr std::int64_t kChunk = 64;
    float* packed = scratch(packed_, blocks * kTileRows * k);
    const auto* bytes = static_cast<const std::byte*>(x.data());
    const std::size_t item = size_of(x.dtype());
    pool_.run(threads_for(4.0 * rows * k), blocks, [&](std::int64_t block, int) {
        float* out = packed + block * kTileRows * k;
        float wide[kTileRows][kChunk] = {};
        const std::int64_t block_rows = std::min<std::int64_t>(kTileRows, rows - block * kTileRows);
        for (std::int64_t begin = 0; begin < k; begin += kChunk) {
            const std::int64_t n = std::min(kChunk, k - begin);
            for (std::int64_t r = 0; r < block_rows; ++r) {
                const std::int64_t offset = (block * kTileRows + r) * x.row_stride() + begin;
                kernels_.to_f32(bytes + static_cast<std::size_t>(offset) * item, x.dtype(), n,
                                wide[r]);
            }
            for (std::int64_t i = 0; i < n; ++i) {
                for (std::int64_t r = 0; r < kTileRows; ++r)
                    out[(begin + i) * kTileRows + r] = wide[r][i];
            }
        }
    });
    return packed;
}

void CpuBackend::matrix_tile(const float* packed_block, int rows, const CpuMatrix& w,
                             std::int64_t panel, float* tile) const {
    const auto kernel = w.dtype() == DType::f32   ? kernels_.tile_f32
                        : w.dtype() == DType::f16 ? kernels_.tile_f16
                                                  : kernels_.tile_bf16;
    const std::byte* weights = w.panel(panel);
    if (w.k_shards() == 1) {
        kernel(rows, w.k(), packed_block, weights, kPanel, tile, false);
        return;
    }
    const std::int64_t shard_k = w.k() / w.k_shards();
    const std::size_t shard_bytes = static_cast<std::size_t>(shard_k * kPanel) * size_of(w.dtype());
    TreeSum<kTile> tree(rows * kPanel);
    for (int s = 0; s < w.k_shards(); ++s) {
        kernel(rows, shard_k, packed_block + s * shard_k * kTileRows,
               weights + static_cast<std::size_t>(s) * shard_bytes, kPanel, tree.next(), false);
        tree.fold();
    }
    std::copy_n(tree.result(), rows * kPanel, tile);
}

template <typename Write>
void CpuBackend::product(const Tensor& x, const CpuMatrix& w, const Write& write) {
    const std::int64_t rows = x.rows();
    if (x.row_size() != w.k()) {
        throw InternalError(
            cat("matmul: x ", to_string(x.shape()), ", w [", w.n(), ", ", w.k(), "]"));
    }
    if (rows == 0) return;
    const float* packed = pack_rows(x);

    // A task is one panel against up to kRun row blocks, so that the panel stays in the cache.
    constexpr std::int64_t kRun = 16;
    const std::int64_t blocks = ceil_div(rows, kTileRows), runs = ceil_div(blocks, kRun);
    const int threads =
        threads_for(static_cast<double>(rows) * static_cast<double>(w.n() * w.k()) / 16);
    pool_.run(threads, w.panels() * runs, [&](std::int64_t task, int) {
        const std::int64_t panel = task / runs, first = task % runs * kRun;
        alignas(64) float tile[kTile];
        for (std::int64_t block = first; block < std::min(first + kRun, blocks); ++block) {
            const int block_rows =
                static_cast<int>(std::min<std::int64_t>(kTileRows, rows - block * kTileRows));
            matrix_tile(packed + block * kTileRows * w.k(), block_rows, w, panel, tile);
            write(block * kTileRows, block_rows, panel, tile);
        }
    });
}

void CpuBackend::matmul(const Tensor& x, const Matrix& matrix, const Tensor& bias,
                        const Tensor& y) {
    const auto& w = dynamic_cast<const CpuMatrix&>(matrix);
    if (y.row_size() != w.n() || y.rows() != x.rows()) {
        throw InternalError(cat("matmul: x ", to_string(x.shape()), ", w [", w.n(), ", ", w.k(),
                                "], y ", to_string(y.shape())));
    }
    const float* added = bias.empty() ? nullptr : bias.as<float>();
    product(x, w, [&](std::int64_t first, int rows, std::int64_t panel, const float* tile) {
        const std::int64_t begin = panel * kPanel;
        const std::int64_t columns = std::min<std::int64_t>(kPanel, w.n() - begin);
        for (int r = 0; r < rows; ++r) {
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
        const Tensor partial(scratch(partial_scratch_, rows * n), DType::f32, {rows, n}, nullptr);
        matmul(x, matrix, {}, partial);
        fold_partial(partial, bias, residual);
        return;
    }
    const float* added = bias.empty() ? nullptr : bias.as<float>();
    product(x, w, [&](std::int64_t first, int tile_rows, std::int64_t panel, const float* tile) {
        const std::int64_t begin = panel * kPanel;
        const std::int64_t columns = std::min<std::int64_t>(kPanel, n - begin);
        for (int r = 0; r < tile_rows; ++r) {
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
    product(x, w, [&](std::int64_t first, int rows, std::int64_t panel, float* tile) {
        const std::int64_t begin = panel * kHalf, n = std::min(kHalf, f - begin);
        for (int r = 0; r < rows; ++r) {
            float *gate = tile + r * kPanel, *up = gate + kHalf;
            for (std::int64_t i = 0; added && i < n; ++i) {
                gate[i] += added[begin + i];
                up[i] += added[f + begin + i];
            }
            const std::int64_t element = (first + r) * out.row_stride() + begin;
            kernels_.silu_mul(gate, up, n, out.dtype(),
                              bytes + static_cast<std::size_t>(element) * size_of(out.dtype()));
        }
    });
}

}  // namespace muster::cpu
