#pragma once
// Logits and their columns as numbers: the larger is the better logit, the lower column first among
// equals.

#include <cuda_runtime.h>

#include <cstdint>

namespace muster::cuda {

__device__ __forceinline__ float infinity() {
    return __uint_as_float(0x7f800000u);
}

/// A NaN's rank lies above infinity's, or, negative, below all.
__device__ __forceinline__ unsigned long long rank_of(float logit, std::int64_t column) {
    const float positive_zero = logit + 0.0f;  // −0 and +0 are equal logits
    const unsigned bits = __float_as_uint(positive_zero);
    const unsigned ordered = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
    return static_cast<unsigned long long>(ordered) << 32 |
           (0xffffffffu - static_cast<unsigned>(column));
}
__device__ __forceinline__ float logit_of(unsigned long long rank) {
    const unsigned ordered = static_cast<unsigned>(rank >> 32);
    return __uint_as_float((ordered & 0x80000000u) != 0 ? ordered & 0x7fffffffu : ~ordered);
}
__device__ __forceinline__ std::int32_t column_of(unsigned long long rank) {
    return static_cast<std::int32_t>(0xffffffffu - static_cast<unsigned>(rank & 0xffffffffull));
}

}  // namespace muster::cuda
