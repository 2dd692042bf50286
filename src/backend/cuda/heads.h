#pragma once
// Kernels that treat every head of every row by itself. Strides are in elements.

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/rows.h"
#include "muster/tensor/dtype.h"

namespace muster::cuda {

/// Every head of x [rows, heads · d] in place: x · rsqrt(mean(x²) + eps) · weight [d].
void norm_heads(float* x, std::int64_t x_stride, const float* weight, float eps, std::int64_t rows,
                std::int64_t heads, std::int64_t d, cudaStream_t stream);

/// What is done with the heads of q, k and v before attention.
struct HeadsCall {
    float* qkv;  ///< [rows, (heads + 2 · kv_heads) · d], rows qkv_stride apart
    std::int64_t qkv_stride;
    const float *q_weight, *k_weight;  ///< [d] of the norms; null: none
    float q_eps, k_eps;
    const float* cos_sin;  ///< [rows, d], rows cos_sin_stride apart
    std::int64_t cos_sin_stride;
    const RowPlace* places;  ///< [rows]
    void *keys, *values;     ///< [pages, kv_heads, kKvPageTokens, d]
    std::int64_t rows;
    std::int32_t heads, kv_heads, d;
};
/// By one kernel what norm_heads of q and k, rope of both and store_kv into pages of `type` do,
/// with their bits; k and v stay as they were in qkv. False if there is no kernel for this size or
/// these addresses: then nothing was done.
bool prepare_attention(DType type, const HeadsCall& call, cudaStream_t stream);

}  // namespace muster::cuda
