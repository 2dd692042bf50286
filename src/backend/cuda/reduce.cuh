#pragma once
// Reductions over a block in one fixed order: a butterfly inside each warp, then the same over the
// warps' results.

#include <cuda_runtime.h>

namespace muster::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffu;

/// Over every kLanes neighbours of a warp; all its lanes call this together.
template <int kLanes = 32, typename T, typename Merge>
__device__ __forceinline__ T reduce_warp(T value, const Merge& merge) {
    for (int lanes = kLanes / 2; lanes > 0; lanes /= 2)
        value = merge(value, __shfl_xor_sync(kAllLanes, value, lanes));
    return value;
}

/// The reduction of every thread's value, in all threads. `merge` is commutative; blockDim.x is a
/// multiple of 32; `none` changes nothing. The block's threads call this together, and may call it
/// again with the same `slots` at once.
template <typename T, typename Merge>
__device__ __forceinline__ T reduce_block(T value, T none, T (&slots)[32], const Merge& merge) {
    value = reduce_warp(value, merge);
    const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
    if (warps == 1) return value;
    __syncthreads();  // an earlier reduction has read the slots
    if (lane == 0) slots[warp] = value;
    __syncthreads();
    value = lane < warps ? slots[lane] : none;
    return reduce_warp(value, merge);
}

/// 1 / √(mean + eps) of n numbers whose squares add up to `squares`.
__device__ __forceinline__ float inverse_norm(float squares, float n, float eps) {
    return __fdiv_rn(1.0f, __fsqrt_rn(__fdiv_rn(squares, n) + eps));
}

}  // namespace muster::cuda
