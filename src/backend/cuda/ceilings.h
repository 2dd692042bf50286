#pragma once
// What the device can do at best, measured: the yardsticks that `muster bench` holds the kernels
// to.

#include <cuda_runtime.h>

#include <cstdint>
#include <memory>
#include <string>

#include "muster/backend/cuda.h"

namespace muster::cuda {

/// Products of square matrices by the vendor's library and its own choice of algorithm, which need
/// not keep a row's bits from call to call as those of multiplier.h must.
class LargeProduct {
 public:
    virtual ~LargeProduct() = default;
    /// "cuBLASLt 13.1.0".
    virtual std::string description() const = 0;
    /// y [n, n] ← x [n, n] · w [n, n]ᵀ, all of `type`, added in f32.
    virtual void multiply(DType type, std::int64_t n, const void* x, const void* w, void* y,
                          cudaStream_t stream) = 0;
};
std::unique_ptr<LargeProduct> make_large_product();

/// Threads that keep every multiprocessor of the current device busy.
inline constexpr unsigned kBusyThreads = 256;  ///< of a block
unsigned busy_blocks();

/// Enqueues: words [count] of pseudo-random elements of `type`, about normal with deviation 1.
/// Zeros would be multiplied faster than numbers are, since they take less power.
void fill_random(DType type, void* words, std::int64_t count, cudaStream_t stream);
/// Enqueues: reads `bytes`, a multiple of 16, once, and writes one word of `sums` per busy thread.
void read_all(const void* from, std::uint64_t bytes, std::uint32_t* sums, cudaStream_t stream);

/// See muster/backend/cuda.h.
CudaCeilings measure_ceilings(int ordinal, int repeats);

}  // namespace muster::cuda
