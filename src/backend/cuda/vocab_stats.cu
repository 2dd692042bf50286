// A slab is read twice, for its maximum and for the sum: it was just written and fits the cache.
// Which thread adds which columns depends on the slab's width alone.

#include "cuda/vocab_stats.h"

#include "cuda/elements.cuh"
#include "cuda/launch.cuh"
#include "cuda/order.cuh"
#include "cuda/reduce.cuh"

namespace muster::cuda {

namespace {

/// Calls f(column, logit) for this thread's columns in ascending order. With few rows the kernel
/// takes as long as its loads, so some are on their way at once.
template <typename F>
__device__ __forceinline__ void for_my_columns(const float* row, std::int64_t columns, bool whole,
                                               const F& f) {
    constexpr int kAtOnce = 4;
    const std::int64_t step = 4 * blockDim.x;
    for (std::int64_t first = 4 * threadIdx.x; first < columns; first += kAtOnce * step) {
        float fours[kAtOnce][4] = {};
#pragma unroll
        for (int k = 0; k < kAtOnce; ++k)
            if (first + k * step < columns) load4(row, first + k * step, columns, whole, fours[k]);
#pragma unroll
        for (int i = 0; i < 4 * kAtOnce; ++i) {
            const std::int64_t at = first + i / 4 * step + i % 4;
            if (at < columns) f(at, fours[i / 4][i % 4]);
        }
    }
}

__global__ void append_stats_kernel(const float* logits, std::int64_t stride, std::int64_t columns,
                                    std::int32_t first_id, bool fresh, bool whole,
                                    VocabStats* stats) {
    __shared__ unsigned long long ranks[32];
    __shared__ float sums[32];
    const float* row = logits + static_cast<std::int64_t>(blockIdx.x) * stride;
    const float kNone = -infinity();

    // A NaN's rank lies above infinity's (or, negative, below all): it shows in the maximum.
    unsigned long long best = 0;
    for_my_columns(row, columns, whole, [&](std::int64_t at, float logit) {
        const unsigned long long rank = rank_of(logit, at);
        best = rank > best ? rank : best;
    });
    best = reduce_block(best, 0ull, ranks,
                        [](unsigned long long a, unsigned long long b) { return a > b ? a : b; });
    const float max = columns > 0 ? logit_of(best) : kNone;
    float sum = 0;
    for_my_columns(row, columns, whole,
                   [&](std::int64_t, float logit) { sum += expf(logit - max); });
    sum = reduce_block(sum, 0.0f, sums, [](float a, float b) { return a + b; });
    if (threadIdx.x != 0) return;

    VocabStats mine{kNone, 0, 0};
    if (columns > 0) {
        mine = {max, sum, first_id + column_of(best)};
    }
    VocabStats& total = stats[blockIdx.x];
    if (fresh || total.max == kNone) {
        total = mine;
    } else if (mine.max != kNone) {
        const float larger = mine.max > total.max ? mine.max : total.max;
        total.sum = fmaf(total.sum, expf(total.max - larger), mine.sum * expf(mine.max - larger));
        if (mine.max > total.max) total.argmax = mine.argmax;
        total.max = larger;
    }
}

__global__ void pick_targets_kernel(const float* logits, std::int64_t stride, std::int64_t columns,
                                    std::int32_t first_id, const LogitTarget* targets,
                                    std::int64_t num_targets, float* out) {
    const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= num_targets) return;
    const std::int64_t column = static_cast<std::int64_t>(targets[i].token) - first_id;
    if (column >= 0 && column < columns) out[i] = logits[targets[i].row * stride + column];
}

}  // namespace

void append_stats(const float* logits, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                  std::int32_t first_id, bool fresh, VocabStats* stats, cudaStream_t stream) {
    if (rows == 0) return;
    // Rows of a full slab are aligned, the real columns of the last one may end anywhere.
    const bool whole = by_fours(logits, columns, stride, sizeof(float));
    launch("append_stats", append_stats_kernel, dim3(blocks_for(rows, 1)), threads_for_row(columns),
           0, stream, logits, stride, columns, first_id, fresh, whole, stats);
}

void pick_targets(const float* logits, std::int64_t stride, std::int64_t columns,
                  std::int32_t first_id, const LogitTarget* targets, std::int64_t num_targets,
                  float* out, cudaStream_t stream) {
    if (num_targets == 0) return;
    launch("pick_targets", pick_targets_kernel, dim3(blocks_for(num_targets, 128)), 128, 0, stream,
           logits, stride, columns, first_id, targets, num_targets, out);
}

}  // namespace muster::cuda
