#pragma once
// Sums of parts by the balanced binary tree over their index.

#include <cstdint>

#include "cuda/elements.cuh"

namespace muster::cuda {

template <int kCount>
__device__ __forceinline__ float tree(const float* parts, std::int64_t stride) {
    if constexpr (kCount == 1)
        return *parts;
    else
        return tree<kCount / 2>(parts, stride) +
               tree<kCount / 2>(parts + kCount / 2 * stride, stride);
}

/// Of four neighbours, 16-byte aligned in every part.
template <int kCount>
__device__ __forceinline__ void tree4(const float* parts, std::int64_t stride, float (&sum)[4]) {
    if constexpr (kCount == 1) {
        load4(parts, 0, 4, true, sum);
    } else {
        float second[4];
        tree4<kCount / 2>(parts, stride, sum);
        tree4<kCount / 2>(parts + kCount / 2 * stride, stride, second);
        for (int i = 0; i < 4; ++i) sum[i] = sum[i] + second[i];
    }
}

}  // namespace muster::cuda
