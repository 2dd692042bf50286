#pragma once
// RMSNorm of rows, alone or behind a sum that it ends. Strides are in elements.

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/elementwise.h"
#include "muster/tensor/dtype.h"

namespace muster::cuda {

/// out ← round(x · rsqrt(mean(x²) + eps)) · round(weight), rounded to `type`.
struct NormCall {
    DType type;
    float* x;  ///< [rows, n]
    std::int64_t x_stride;
    const float* weight;  ///< [n]
    float eps;
    void* out;  ///< [rows, n] of `type`
    std::int64_t out_stride;
    std::int64_t rows, n;
    /// If there are parts, x ← x + (tree + bias) comes first, as fold() does with [rows, n]
    /// elements from `begin` = 0 on; else x stays.
    Fold fold;
    const float* bias;  ///< [n] or null
};
void norm(const NormCall& call, cudaStream_t stream);

}  // namespace muster::cuda
