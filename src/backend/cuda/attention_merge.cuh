#pragma once
// Merges the partial results of a split call: a warp takes one head of one row, runs ascending.

#include "cuda/attention_tile.cuh"

namespace muster::cuda {

inline constexpr int kMergeWarps = 4;

/// `store(out, head_index, column, two values)` for every pair of columns.
template <typename Store>
__device__ __forceinline__ void merge_runs(const AttentionLaunch& launch, const Store& store) {
    const AttentionCall& call = launch.call;
    AttentionTile row{};
    row.sequence = call.sequences[blockIdx.y];
    row.group = 1;  // a vector is a row here, and inverse_group 0
    row.window = call.window;
    row.bidirectional = call.bidirectional;
    const int index =
        static_cast<int>(blockIdx.x) * kMergeWarps + static_cast<int>(threadIdx.x / 32);
    const int vector = index / call.heads, head = index % call.heads;
    if (vector >= row.sequence.num_rows) return;
    const KeyRange keys = row.keys(vector);
    const std::int64_t head_index =
        (std::int64_t{row.sequence.first_row} + vector) * call.heads + head;
    const int lane = static_cast<int>(threadIdx.x % 32);

    constexpr int kRunKeys = kSplitPages * kPageKeys, kPairs = 256 / 64;
    float max = -INFINITY, total = 0.0f;
    float2 sums[kPairs];
#pragma unroll
    for (int i = 0; i < kPairs; ++i) sums[i] = make_float2(0.0f, 0.0f);
    for (int run = keys.begin / kRunKeys; run <= (keys.end - 1) / kRunKeys; ++run) {
        const float* partial = partial_of(launch, run, head_index);
        const Merge m = merge_of(max, partial[call.head_dim]);
        max = m.max;
        total = merged(m, total, partial[call.head_dim + 1]);
#pragma unroll
        for (int i = 0; i < kPairs; ++i) {
            const int column = i * 64 + lane * 2;
            if (column >= call.head_dim) continue;
            const float2 part = *reinterpret_cast<const float2*>(partial + column);
            sums[i].x = merged(m, sums[i].x, part.x);
            sums[i].y = merged(m, sums[i].y, part.y);
        }
    }
    const float inverse = 1.0f / total;
#pragma unroll
    for (int i = 0; i < kPairs; ++i) {
        const int column = i * 64 + lane * 2;
        if (column < call.head_dim)
            store(head_index * call.head_dim + column, finished(sums[i].x, inverse),
                  finished(sums[i].y, inverse));
    }
}

}  // namespace muster::cuda
