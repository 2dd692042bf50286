#pragma once
// Kernels that treat every head of every row by itself. Strides are in elements.

#include <cuda_runtime.h>

#include <cstdint>

namespace muster::cuda {

/// Every head of x [rows, heads · d] in place: x · rsqrt(mean(x²) + eps) · weight [d].
void norm_heads(float* x, std::int64_t x_stride, const float* weight, float eps, std::int64_t rows,
                std::int64_t heads, std::int64_t d, cudaStream_t stream);

}  // namespace muster::cuda
