#include "cpu/cpu_product.h"

#include <algorithm>
#include <bit>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cpu {

namespace {

constexpr std::int64_t kTile = kTileRows * kPanel;
constexpr std::int64_t kPiece = 256;     // k of one pass over the blocks
constexpr std::int64_t kMaxPanels = 4;   // that one block reads side by side
constexpr std::int64_t kPassPanels = 2;  // that blocks pass by; fewer if their sums fill the cache
constexpr std::int64_t kMaxBlocks = 16;  // of one run
// Bytes ahead in each panel that a single block reads from memory: more where few panels are read
// side by side.
constexpr std::int64_t kFewRowsAhead = 2 << 10, kStreamAhead = 8 << 10;
constexpr std::int64_t kSumFloats = 128 << 10;
constexpr std::int64_t kWidenRows = 3 * kTileRows;  // from here on widening pays

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

/// Levels of the tree over `shards` sums, with one waiting on each.
std::int64_t tree_levels(int shards) {
    return std::bit_width(static_cast<unsigned>(shards - 1)) + 1;
}

/// Panels of one pass of up to `longest_run` of `blocks` blocks.
std::int64_t pass_panels(std::int64_t blocks, std::int64_t longest_run, std::int64_t levels) {
    return std::clamp<std::int64_t>(kSumFloats / (levels * longest_run * kTile), 1,
                                    blocks == 1 ? kMaxPanels : kPassPanels);
}

const Kernels& for_rows(const Kernels& kernels, DType type, std::int64_t rows) {
    const bool few = kernels.few_rows != nullptr && type == DType::bf16 && rows <= kFewRows;
    return few ? *kernels.few_rows : kernels;
}

}  // namespace

std::int64_t Product::most_run_rows(std::int64_t rows) {
    return std::min(ceil_div(rows, kTileRows), kMaxBlocks) * kTileRows;
}

std::uint64_t Product::scratch_bytes(DType compute, std::int64_t rows, std::int64_t k, int shards,
                                     int threads) {
    const std::int64_t blocks = ceil_div(rows, kTileRows), levels = tree_levels(shards);
    const std::int64_t one_panel = levels * most_run_rows(rows) * kPanel;
    const std::int64_t panels = pass_panels(blocks, most_run_rows(rows) / kTileRows, levels);
    const std::int64_t thread_floats = panels * (one_panel + kPiece * kPanel);
    const std::int64_t x_bytes =
        blocks * shards * x_block_bytes(kernels_for(fastest_isa()), compute, k / shards);
    return static_cast<std::uint64_t>(x_bytes + threads * thread_floats * 4);
}

std::uint64_t Product::group_scratch_bytes(DType compute, std::int64_t products, std::int64_t rows,
                                           std::int64_t k, int shards, int threads) {
    // Every product may have a block that is not full.
    const std::int64_t blocks =
        std::min(rows, (rows + std::min(products, rows) * (kTileRows - 1)) / kTileRows);
    const std::int64_t x_bytes =
        blocks * shards * x_block_bytes(kernels_for(fastest_isa()), compute, k / shards);
    std::int64_t thread_floats = 0;
    const std::int64_t levels = tree_levels(shards);
    for (std::int64_t run = 1; run <= std::min(kMaxBlocks, ceil_div(rows, kTileRows)); ++run) {
        thread_floats = std::max(thread_floats, pass_panels(run, run, levels) *
                                                    (levels * run * kTile + kPiece * kPanel));
    }
    return static_cast<std::uint64_t>(x_bytes + threads * thread_floats * 4);
}

Product::Product(std::int64_t rows, const CpuMatrix& w, const Kernels& kernels, int threads)
    : w_(w),
      kernels_(for_rows(kernels, w.dtype(), rows)),
      rows_(rows),
      blocks_(ceil_div(rows, kTileRows)) {
    if (rows < 1) throw InternalError("matrix product: no rows");
    shard_block_bytes_ = x_block_bytes(kernels_, w.dtype(), w.shard_k());
    block_bytes_ = shard_block_bytes_ * w.k_shards();
    // Runs are cut short where there are fewer panels than threads.
    runs_ = std::max(ceil_div(blocks_, kMaxBlocks), ceil_div(threads, w.panels()));
    runs_ = std::min(runs_, blocks_);
    longest_run_ = ceil_div(blocks_, runs_);
    const std::int64_t levels = tree_levels(w.k_shards());
    max_panels_ =
        std::min(pass_panels(blocks_, longest_run_, levels), ceil_div(w.panels(), threads));
    const bool wants =
        w.dtype() == DType::f16 || (w.dtype() == DType::bf16 && kernels_.widens_bf16);
    widens_ = wants && rows_ >= kWidenRows;
    sums_size_ = max_panels_ * panel_stride();
    thread_floats_ = levels * sums_size_ + (widens_ ? max_panels_ * kPiece * kPanel : 0);
}

Product::Product(const Tensor& x, const CpuMatrix& w, const Kernels& kernels, ThreadPool& pool,
                 int threads, ProductScratch& scratch)
    : Product(x.rows(), w, kernels, threads) {
    if (x.row_size() != w.k() || x.dtype() != w.dtype()) {
        throw InternalError(cat("matrix product: x ", to_string(x.shape()), " ", name_of(x.dtype()),
                                ", w [", w.n(), ", ", w.k(), "] ", name_of(w.dtype())));
    }
    use_memory(reinterpret_cast<std::byte*>(scratch.x.floats(packed_bytes() / 4)),
               scratch.threads.floats(pool.threads() * thread_floats_), thread_floats_);
    const auto item = static_cast<std::int64_t>(size_of(x.dtype()));
    const auto* from = static_cast<const std::byte*>(x.data());
    pool.run(threads, blocks_, [&](std::int64_t block, int) {
        pack(block, from + block * kTileRows * x.row_stride() * item, x.row_stride());
    });
}

void Product::use_memory(std::byte* packed, float* threads, std::int64_t thread_floats) {
    packed_ = packed;
    thread_memory_ = threads;
    thread_floats_ = thread_floats;
}

void Product::pack(std::int64_t block, const void* x, std::int64_t stride) const {
    const auto item = static_cast<std::int64_t>(size_of(w_.dtype()));
    const int count =
        static_cast<int>(std::min<std::int64_t>(kTileRows, rows_ - block * kTileRows));
    for (int s = 0; s < w_.k_shards(); ++s) {
        kernels_.pack_x(w_.dtype(), count, w_.shard_k(),
                        static_cast<const std::byte*>(x) + s * w_.shard_k() * item, stride,
                        packed_ + block * block_bytes_ + s * shard_block_bytes_);
    }
}

/// The only block: weights are read once, straight from memory.
void Product::stream_shard(int shard, std::int64_t first, std::int64_t count, float* sums) const {
    const std::int64_t shard_bytes = w_.shard_steps() * w_.step_bytes();
    const std::int64_t panel_bytes = w_.k_shards() * shard_bytes;
    const std::byte* weights = w_.panel(first) + shard * shard_bytes;
    const std::int64_t ahead = rows_ <= kTileRows / 2 ? kFewRowsAhead : kStreamAhead;
    const void* panels[kMaxPanels];
    for (std::int64_t p = 0; p < count; ++p) panels[p] = weights + p * panel_bytes;
    of_type(kernels_.stream, w_.dtype())(
        static_cast<int>(rows_), static_cast<int>(count), w_.shard_steps(),
        packed_ + shard * shard_block_bytes_, panels, sums, false,
        {reinterpret_cast<const char*>(weights) + ahead, w_.step_bytes(), panel_bytes});
}

void Product::add_shard(int shard, std::int64_t first, std::int64_t count, std::int64_t run,
                        float* sums, float* widened, const std::byte* then) const {
    if (blocks_ == 1) return stream_shard(shard, first, count, sums);
    const std::int64_t per_step = w_.dtype() == DType::bf16 ? 2 : 1;
    const std::int64_t steps = w_.shard_steps();
    const std::int64_t x_step_bytes = shard_block_bytes_ / steps;
    const std::int64_t blocks = first_block(run + 1) - first_block(run);
    const int last_rows = static_cast<int>(num_rows(run) - (blocks - 1) * kTileRows);
    const std::byte* x = packed_ + first_block(run) * block_bytes_ + shard * shard_block_bytes_;
    // Pieces of about the same size, so that each can fetch the next one.
    const std::int64_t pieces = ceil_div(steps * per_step, kPiece), piece = ceil_div(steps, pieces);
    const TileKernel tile = widens_ ? kernels_.tile_f32 : tile_kernel(kernels_, w_.dtype());
    for (std::int64_t begin = 0; begin < steps; begin += piece) {
        const std::int64_t n = std::min(piece, steps - begin),
                           tile_steps = widens_ ? n * per_step : n;
        const auto part = [&](std::int64_t p) {
            return w_.panel(first + p) + (shard * steps + begin) * w_.step_bytes();
        };
        for (std::int64_t p = 0; widens_ && p < count; ++p)
            kernels_.widen(w_.dtype(), n, part(p), widened + p * kPiece * kPanel);
        // The blocks share the fetching of the next piece, in the end of what is multiplied then.
        const bool ends = shard + 1 == w_.k_shards() && begin + n == steps;
        const std::int64_t bytes = n * w_.step_bytes(),
                           panel_bytes = w_.k_shards() * steps * w_.step_bytes();
        const std::int64_t per_tile = ceil_div(bytes, blocks);
        for (std::int64_t block = 0; block < blocks; ++block) {
            const int rows = block + 1 < blocks ? kTileRows : last_rows;
            const std::byte* x_part = x + block * block_bytes_ + begin * x_step_bytes;
            for (std::int64_t p = 0; p < count; ++p) {
                const std::byte* weights = part(p);
                const std::byte* next = ends ? then + p * panel_bytes : weights + bytes;
                tile(rows, tile_steps, x_part,
                     widens_ ? static_cast<const void*>(widened + p * kPiece * kPanel) : weights,
                     kPanel, sums + p * panel_stride() + block * kTile, begin > 0,
                     {reinterpret_cast<const char*>(next) + block * per_tile,
                      std::min<std::int64_t>(128, ceil_div(per_tile, tile_steps))});
            }
        }
    }
}

const float* Product::multiply(std::int64_t first, std::int64_t count, std::int64_t run,
                               int thread) {
    float* memory = thread_memory_ + thread * thread_floats_;
    float* widened = memory + tree_levels(w_.k_shards()) * sums_size_;
    // A balanced tree over the shards as a binary counter carries: one waiting sum on each level.
    std::int64_t depth = 0;
    const auto fold = [&] {
        --depth;
        for (std::int64_t p = 0; p < count; ++p) {
            kernels_.add(memory + (depth - 1) * sums_size_ + p * panel_stride(),
                         memory + depth * sums_size_ + p * panel_stride(), num_rows(run) * kPanel);
        }
    };
    for (int s = 0; s < w_.k_shards(); ++s) {
        add_shard(s, first, count, run, memory + depth * sums_size_, widened,
                  w_.panel(first + count));
        ++depth;
        for (int carry = s + 1; carry % 2 == 0; carry /= 2) fold();
    }
    while (depth > 1) fold();
    return memory;
}

const float* Product::multiply_shard(int shard, std::int64_t first, std::int64_t count,
                                     std::int64_t run, int thread, const std::byte* then) {
    float* memory = thread_memory_ + thread * thread_floats_;
    add_shard(shard, first, count, run, memory, memory + tree_levels(w_.k_shards()) * sums_size_,
              then);
    return memory;
}

}  // namespace muster::cpu
