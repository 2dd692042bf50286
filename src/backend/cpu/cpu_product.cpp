#include "cpu/cpu_product.h"

#include <algorithm>
#include <bit>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cpu {

namespace {

constexpr std::int64_t kTile = kTileRows * kPanel;
constexpr std::int64_t kRunBytes = 768 << 10;  // packed rows of one run, beside panels in the cache
constexpr std::int64_t kPiece = 256;           // k of one pass over a panel
constexpr std::int64_t kWidenRows = 3 * kTileRows;  // from here on widening pays

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

/// Levels of the tree over `shards` sums, with one waiting on each.
std::int64_t tree_levels(int shards) {
    return std::bit_width(static_cast<unsigned>(shards - 1)) + 1;
}

}  // namespace

Product::Product(const Tensor& x, const CpuMatrix& w, const Kernels& kernels, ThreadPool& pool,
                 int threads, ProductScratch& scratch)
    : w_(w), kernels_(kernels), rows_(x.rows()), blocks_(ceil_div(rows_, kTileRows)) {
    if (x.row_size() != w.k() || x.dtype() != w.dtype()) {
        throw InternalError(cat("matrix product: x ", to_string(x.shape()), " ", name_of(x.dtype()),
                                ", w [", w.n(), ", ", w.k(), "] ", name_of(w.dtype())));
    }
    shard_block_bytes_ = x_block_bytes(kernels, w.dtype(), w.shard_k());
    block_bytes_ = shard_block_bytes_ * w.k_shards();
    runs_ = std::max<std::int64_t>(1, ceil_div(blocks_ * block_bytes_, kRunBytes));
    runs_ = std::min(runs_, blocks_);
    longest_run_ = ceil_div(blocks_, std::max<std::int64_t>(runs_, 1));
    const bool wants = w.dtype() == DType::f16 || (w.dtype() == DType::bf16 && kernels.widens_bf16);
    widens_ = wants && rows_ >= kWidenRows;

    packed_ = reinterpret_cast<std::byte*>(scratch.x.floats(blocks_ * block_bytes_ / 4));
    sums_size_ = longest_run_ * kTile;
    thread_floats_ = tree_levels(w.k_shards()) * sums_size_ + (widens_ ? kPiece * kPanel : 0);
    thread_memory_ = scratch.threads.floats(pool.threads() * thread_floats_);

    const std::int64_t item = static_cast<std::int64_t>(size_of(x.dtype()));
    const auto* from = static_cast<const std::byte*>(x.data());
    pool.run(threads, blocks_, [&](std::int64_t block, int) {
        const std::int64_t first = block * kTileRows;
        const int count = static_cast<int>(std::min<std::int64_t>(kTileRows, rows_ - first));
        for (int s = 0; s < w_.k_shards(); ++s) {
            const std::int64_t element = first * x.row_stride() + s * w_.shard_k();
            kernels_.pack_x(x.dtype(), count, w_.shard_k(), from + element * item, x.row_stride(),
                            packed_ + block * block_bytes_ + s * shard_block_bytes_);
        }
    });
}

void Product::multiply_shard(const std::byte* weights, const std::byte* x, std::int64_t blocks,
                             int last_rows, float* sums, float* widened) const {
    const std::int64_t per_step = w_.dtype() == DType::bf16 ? 2 : 1;
    const std::int64_t steps = w_.shard_steps(), piece = kPiece / per_step;
    const std::int64_t x_step_bytes = shard_block_bytes_ / steps;
    const TileKernel tile = tile_kernel(kernels_, w_.dtype());
    for (std::int64_t begin = 0; begin < steps; begin += piece) {
        const std::int64_t n = std::min(piece, steps - begin);
        const std::byte* part = weights + begin * w_.step_bytes();
        if (widens_) kernels_.widen(w_.dtype(), n, part, widened);
        for (std::int64_t block = 0; block < blocks; ++block) {
            const int rows = block + 1 < blocks ? kTileRows : last_rows;
            const std::byte* x_part = x + block * block_bytes_ + begin * x_step_bytes;
            if (widens_) {
                kernels_.tile_f32(rows, n * per_step, x_part, widened, kPanel, sums + block * kTile,
                                  begin > 0);
            } else {
                tile(rows, n, x_part, part, kPanel, sums + block * kTile, begin > 0);
            }
        }
    }
}

float* Product::panel(std::int64_t panel, std::int64_t run, int thread) {
    float* memory = thread_memory_ + thread * thread_floats_;
    float* widened = memory + tree_levels(w_.k_shards()) * sums_size_;
    const std::int64_t blocks = first_block(run + 1) - first_block(run);
    const int last_rows = static_cast<int>(num_rows(run) - (blocks - 1) * kTileRows);
    const std::byte* x = packed_ + first_block(run) * block_bytes_;
    const std::byte* weights = w_.panel(panel);
    const std::int64_t shard_bytes = w_.shard_steps() * w_.step_bytes();

    // A balanced tree over the shards as a binary counter carries: one waiting sum on each level.
    std::int64_t depth = 0;
    const auto fold = [&] {
        --depth;
        kernels_.add(memory + (depth - 1) * sums_size_, memory + depth * sums_size_,
                     blocks * kTile);
    };
    for (int s = 0; s < w_.k_shards(); ++s) {
        multiply_shard(weights + s * shard_bytes, x + s * shard_block_bytes_, blocks, last_rows,
                       memory + depth * sums_size_, widened);
        ++depth;
        for (int carry = s + 1; carry % 2 == 0; carry /= 2) fold();
    }
    while (depth > 1) fold();
    return memory;
}

}  // namespace muster::cpu
