#pragma once
// x · wᵀ by tiles. The rows of x are packed once into blocks of kTileRows, blocks are grouped into
// runs that stay in the second-level cache, and a thread takes one panel of weights against one
// run: for each virtual shard and each piece of k, the piece of the panel (widened to f32 if that
// pays) goes against all blocks of the run while it is in the first-level cache.

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

    std::int64_t rows() const { return rows_; }
    std::int64_t runs() const { return runs_; }
    /// Rows [first, first + count) of a run.
    std::int64_t first_row(std::int64_t run) const { return first_block(run) * kTileRows; }
    std::int64_t num_rows(std::int64_t run) const {
        return std::min(first_block(run + 1) * kTileRows, rows_) - first_row(run);
    }
    /// One panel against one run on `thread`: sums [blocks of the run, kTileRows, kPanel], that is
    /// [num_rows, kPanel], valid until the thread's next call. The caller holds FlushDenormals.
    float* panel(std::int64_t panel, std::int64_t run, int thread);

 private:
    std::int64_t first_block(std::int64_t run) const { return run * blocks_ / runs_; }
    void multiply_shard(const std::byte* weights, const std::byte* x, std::int64_t blocks,
                        int last_rows, float* sums, float* widened) const;

    const CpuMatrix& w_;
    const Kernels& kernels_;
    std::int64_t rows_, blocks_, runs_, block_bytes_, shard_block_bytes_, longest_run_;
    bool widens_;
    std::byte* packed_;
    float* thread_memory_;
    std::int64_t sums_size_, thread_floats_;
};

}  // namespace muster::cpu
