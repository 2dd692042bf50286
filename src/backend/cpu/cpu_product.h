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

    /// Bytes of `scratch` for products of up to `rows` rows by [any, k] in `shards` virtual shards.
    static std::uint64_t scratch_bytes(DType compute, std::int64_t rows, std::int64_t k, int shards,
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
    /// Floats from the sums of one panel to those of the next.
    std::int64_t panel_stride() const { return longest_run_ * kTileRows * kPanel; }

 private:
    std::int64_t first_block(std::int64_t run) const { return run * blocks_ / runs_; }
    /// Virtual shard `shard` of `count` panels against the blocks of `run`.
    void multiply_shard(int shard, std::int64_t first, std::int64_t count, std::int64_t run,
                        float* sums, float* widened) const;

    void stream_shard(int shard, std::int64_t first, std::int64_t count, float* sums) const;

    const CpuMatrix& w_;
    const Kernels& kernels_;
    std::int64_t rows_, blocks_, runs_, longest_run_, max_panels_;
    std::int64_t block_bytes_, shard_block_bytes_;  // of packed x
    bool widens_;
    std::byte* packed_;
    float* thread_memory_;
    std::int64_t sums_size_, thread_floats_;
};

}  // namespace muster::cpu
