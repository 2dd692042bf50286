#pragma once
// x · wᵀ by tiles, in the loop order of Goto and van de Geijn, "Anatomy of high-performance matrix
// multiplication" (2008). The rows of x are packed once into blocks of kTileRows. A thread takes a
// few panels of weights against a run of blocks: for each virtual shard and each piece of k, the
// piece of the panels (widened to f32 if that pays) stays in the second-level cache while the
// blocks pass by, and the next piece is fetched from memory meanwhile.

#include <algorithm>

#include "cpu/cpu_matrix.h"
#include "cpu/scratch.h"
#include "cpu/thread_pool.h"
#include "muster/tensor/tensor.h"

namespace muster::cpu {

/// Memory of the products of one backend.
struct ProductScratch {
    Scratch x;        ///< packed rows
    Scratch threads;  ///< of every thread: sums, then widened weights
};

class Product {
 public:
    /// Packs x [rows, k] on up to `threads` threads of `pool`; everything is kept by reference.
    Product(const Tensor& x, const CpuMatrix& w, const Kernels& kernels, ThreadPool& pool,
            int threads, ProductScratch& scratch);
    /// A product of `rows` rows whose panels go to `threads` threads. Before it multiplies, it
    /// wants use_memory() and every block packed.
    Product(std::int64_t rows, const CpuMatrix& w, const Kernels& kernels, int threads);

    std::int64_t packed_bytes() const { return blocks_ * block_bytes_; }
    /// Of the sums of every thread.
    std::int64_t thread_floats() const { return thread_floats_; }
    /// `packed` is its own, packed_bytes(); `threads` [threads, thread_floats], at least
    /// thread_floats() each, may serve several products that multiply in turns.
    void use_memory(std::byte* packed, float* threads, std::int64_t thread_floats);
    std::int64_t blocks() const { return blocks_; }
    /// Packs the rows of one block, which lie at x, `stride` elements apart.
    void pack(std::int64_t block, const void* x, std::int64_t stride) const;

    /// Bytes of `scratch` for products of up to `rows` rows by [any, k] in `shards` virtual shards.
    static std::uint64_t scratch_bytes(DType compute, std::int64_t rows, std::int64_t k, int shards,
                                       int threads);
    /// The same for `products` products side by side of `rows` rows in all.
    static std::uint64_t group_scratch_bytes(DType compute, std::int64_t products,
                                             std::int64_t rows, std::int64_t k, int shards,
                                             int threads);
    /// Rows of the longest run of a step of `rows` rows.
    static std::int64_t most_run_rows(std::int64_t rows);

    std::int64_t runs() const { return runs_; }
    /// Rows [first, first + count) of a run.
    std::int64_t first_row(std::int64_t run) const { return first_block(run) * kTileRows; }
    std::int64_t num_rows(std::int64_t run) const {
        return std::min(first_block(run + 1) * kTileRows, rows_) - first_row(run);
    }
    std::int64_t longest_run() const { return longest_run_ * kTileRows; }
    /// Panels that one call of multiply() takes at most.
    std::int64_t max_panels() const { return max_panels_; }
    /// Panels [first, first + count) against one run on `thread`: sums [count, blocks of the run,
    /// kTileRows, kPanel], valid until the thread's next call. The caller holds FlushDenormals.
    const float* multiply(std::int64_t first, std::int64_t count, std::int64_t run, int thread);
    /// The same for one virtual shard alone. `then` are the weights that the thread reads next.
    const float* multiply_shard(int shard, std::int64_t first, std::int64_t count, std::int64_t run,
                                int thread, const std::byte* then);
    /// Calls write(first row, rows, panel, tile) for every tile of panels [first, end) and a run.
    template <typename Write>
    void each_tile(std::int64_t first, std::int64_t end, std::int64_t run, int thread,
                   const Write& write);
    /// Floats from the sums of one panel to those of the next.
    std::int64_t panel_stride() const { return longest_run_ * kTileRows * kPanel; }

 private:
    std::int64_t first_block(std::int64_t run) const { return run * blocks_ / runs_; }
    /// Virtual shard `shard` of `count` panels against the blocks of `run`; the weights at `then`
    /// are fetched meanwhile if it is the last one.
    void add_shard(int shard, std::int64_t first, std::int64_t count, std::int64_t run, float* sums,
                   float* widened, const std::byte* then) const;

    void stream_shard(int shard, std::int64_t first, std::int64_t count, float* sums) const;

    const CpuMatrix& w_;
    const Kernels& kernels_;
    std::int64_t rows_, blocks_, runs_, longest_run_, max_panels_;
    std::int64_t block_bytes_, shard_block_bytes_;  // of packed x
    bool widens_;
    std::byte* packed_ = nullptr;
    float* thread_memory_ = nullptr;
    std::int64_t sums_size_, thread_floats_;
};

template <typename Write>
void Product::each_tile(std::int64_t first, std::int64_t end, std::int64_t run, int thread,
                        const Write& write) {
    const std::int64_t rows = num_rows(run);
    for (std::int64_t count; first < end; first += count) {
        count = std::min(max_panels_, end - first);
        const float* sums = multiply(first, count, run, thread);
        for (std::int64_t row = 0; row < rows; row += kTileRows) {
            for (std::int64_t p = 0; p < count; ++p) {
                write(first_row(run) + row, std::min<std::int64_t>(kTileRows, rows - row),
                      first + p, sums + p * panel_stride() + row * kPanel);
            }
        }
    }
}

}  // namespace muster::cpu
