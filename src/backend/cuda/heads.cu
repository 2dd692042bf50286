// One warp per head. A lane takes four neighbours at a time, the same four whether they are moved
// by one instruction or one by one, so that the order of additions depends on the head's size
// alone.

#include "cuda/heads.h"

#include "cuda/elements.cuh"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"

namespace muster::cuda {

namespace {

constexpr unsigned kWarps = 4;

/// blockIdx.x counts rows; blockIdx.y and warps count heads.
__global__ void __launch_bounds__(32 * kWarps)
    norm_heads_kernel(float* x, std::int64_t x_stride, const float* weight, float eps,
                      std::int64_t heads, std::int64_t d, bool whole) {
    const std::int64_t head = blockIdx.y * kWarps + threadIdx.x / 32;
    if (head >= heads) return;
    float* row = x + blockIdx.x * x_stride + head * d;
    const std::int64_t first = 4 * (threadIdx.x % 32);
    float four[4], factors[4], squares = 0;
    for (std::int64_t at = first; at < d; at += 128) {
        load4(row, at, d, whole, four);
        for (int i = 0; i < 4; ++i) squares = fmaf(four[i], four[i], squares);
    }
    const float inverse = inverse_norm(reduce_warp(squares, [](float a, float b) { return a + b; }),
                                       static_cast<float>(d), eps);
    for (std::int64_t at = first; at < d; at += 128) {
        load4(row, at, d, whole, four);
        load4(weight, at, d, whole, factors);
        for (int i = 0; i < 4; ++i) four[i] = four[i] * inverse * factors[i];
        store4(row, at, d, whole, four);
    }
}

}  // namespace

void norm_heads(float* x, std::int64_t x_stride, const float* weight, float eps, std::int64_t rows,
                std::int64_t heads, std::int64_t d, cudaStream_t stream) {
    if (rows == 0 || heads == 0) return;
    const bool whole =
        by_fours(x, d, x_stride, sizeof(float)) && by_fours(weight, d, d, sizeof(float));
    launch("norm_heads", norm_heads_kernel, dim3(blocks_for(rows, 1), blocks_for(heads, kWarps)),
           32 * kWarps, 0, stream, x, x_stride, weight, eps, heads, d, whole);
}

}  // namespace muster::cuda
