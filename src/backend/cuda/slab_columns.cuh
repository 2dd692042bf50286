#pragma once
// A slab of one row's logits in the registers of a block of threads.

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/elements.cuh"
#include "cuda/launch.cuh"
#include "cuda/order.cuh"

namespace muster::cuda {

using Rank = unsigned long long;
inline constexpr Rank kNoRank = 0;  // below that of any logit

/// Threads of a block at most.
inline constexpr int kSlabThreads = 512;

/// A NaN counts as −infinity.
__device__ __forceinline__ float number_of(float logit) {
    return logit == logit ? logit : -infinity();
}
/// exp((logit − max) · inverse temperature).
__device__ __forceinline__ float weight_of(float logit, float max, float inverse) {
    const float number = number_of(logit);
    return number == max ? 1.0f : expf((number - max) * inverse);
}

/// The columns of a slab that a thread holds: four neighbours, then four that lie 4 · blockDim.x
/// further, and so on.
struct SlabColumns {
    static constexpr int kCount = 32;
    float logits[kCount];
    int columns;
    std::int32_t first_id;

    __device__ __forceinline__ int column(int i) const {
        return 4 * (i / 4 * static_cast<int>(blockDim.x) + static_cast<int>(threadIdx.x)) + i % 4;
    }
    __device__ __forceinline__ bool exists(int i) const { return column(i) < columns; }
    /// kNoRank where there is no column.
    __device__ __forceinline__ Rank rank(int i) const {
        return exists(i) ? rank_of(logits[i], first_id + column(i)) : kNoRank;
    }
    /// 0 where there is no column.
    __device__ __forceinline__ float weight(int i, float max, float inverse) const {
        return exists(i) ? weight_of(logits[i], max, inverse) : 0;
    }
    /// NaNs become −infinity.
    __device__ __forceinline__ void load(const float* row, bool whole) {
#pragma unroll
        for (int four = 0; four < kCount / 4; ++four) {
            float values[4] = {0, 0, 0, 0};
            if (exists(4 * four)) load4(row, column(4 * four), columns, whole, values);
#pragma unroll
            for (int i = 0; i < 4; ++i) logits[4 * four + i] = number_of(values[i]);
        }
    }
};

/// Threads for a slab of `columns`: they depend on the columns alone, and so does the order of
/// sums over a block.
inline unsigned slab_threads(std::int64_t columns) {
    const std::int64_t fours = (columns + 3) / 4;
    return fours >= kSlabThreads ? kSlabThreads : fours <= 32 ? 32 : blocks_for(fours, 32) * 32;
}

}  // namespace muster::cuda
