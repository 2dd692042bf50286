#pragma once
// Attention in f32 by fused multiply-add: for models in f32 and as a yardstick, so it is kept
// plain.
//
// Sixteen threads share kThreadRows vectors: of scores each has every sixteenth key, of values
// four neighbouring columns of every 64. Scores add along the head in ascending order, values over
// ascending keys, weights four by four and over the sixteen threads as a tree.

#include "cuda/attention_tile.cuh"

namespace muster::cuda {

template <int HeadDim>
struct FmaShape {
    static constexpr int kHeadDim = HeadDim, kThreads = 128, kSlots = 2;
    static constexpr int kThreadRows = HeadDim > 128 ? 2 : 4;  ///< as shared memory allows
    static constexpr int kRows = kThreads / 16 * kThreadRows;
    static constexpr int kFours = (HeadDim + 63) / 64;  ///< of columns that a thread has
    using Copy = PageCopy<HeadDim * 4, HeadDim * 4, kThreads>;
    static constexpr int kStride = Copy::kStride / 4;  ///< of a row, in floats
    static constexpr int kWeightStride = kPageKeys + 4;
    static constexpr int kSharedBytes =
        kSlots * Copy::kTotal + kRows * (kStride + kWeightStride) * 4;
};

/// The vectors of sixteen threads.
template <typename Shape>
struct ThreadRows {
    static constexpr int kRows = Shape::kThreadRows, kFours = Shape::kFours;

    const AttentionLaunch& launch;
    const AttentionTile& tile;
    int lane, first_row;       ///< of the sixteen, and in the block's tile
    float *queries, *weights;  ///< of these rows: [kRows, kStride], [kRows, kWeightStride], shared
    float max[kRows], total[kRows];
    float sums[kRows][kFours][4];

    __device__ __forceinline__ ThreadRows(const AttentionLaunch& l, const AttentionTile& t,
                                          float* shared)
        : launch(l), tile(t), lane(static_cast<int>(threadIdx.x % 16)) {
        first_row = static_cast<int>(threadIdx.x / 16) * kRows;
        queries = shared + first_row * Shape::kStride;
        weights = shared + Shape::kRows * Shape::kStride + first_row * Shape::kWeightStride;
        const AttentionCall& call = launch.call;
        for (int r = 0; r < kRows; ++r) {
            const int vector = tile.first_vector + first_row + r;
            const bool there = first_row + r < tile.num_vectors;
            const float* q = tile.query(call, vector);
            for (int i = lane; i < Shape::kHeadDim; i += 16)
                queries[r * Shape::kStride + i] = there ? q[i] : 0.0f;
        }
        __syncwarp();
        clear();
    }
    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
            max[r] = -INFINITY;
            total[r] = 0.0f;
#pragma unroll
            for (int i = 0; i < kFours * 4; ++i) sums[r][i / 4][i % 4] = 0.0f;
        }
    }

    /// scores [rows, keys lane, lane + 16, …] ← queries · keys.
    __device__ __forceinline__ void multiply_keys(const float* keys,
                                                  float (&scores)[kRows][4]) const {
#pragma unroll
        for (int i = 0; i < kRows * 4; ++i) scores[i / 4][i % 4] = 0.0f;
        const auto four = [](const float* at) { return *reinterpret_cast<const float4*>(at); };
#pragma unroll 2
        for (int column = 0; column < Shape::kHeadDim; column += 4) {
            float4 k[4];
#pragma unroll
            for (int j = 0; j < 4; ++j)
                k[j] = four(keys + (lane + j * 16) * Shape::kStride + column);
#pragma unroll
            for (int r = 0; r < kRows; ++r) {
                const float4 q = four(queries + r * Shape::kStride + column);
#pragma unroll
                for (int j = 0; j < 4; ++j) {
                    float sum = fmaf(q.x, k[j].x, scores[r][j]);
                    sum = fmaf(q.y, k[j].y, sum);
                    sum = fmaf(q.z, k[j].z, sum);
                    scores[r][j] = fmaf(q.w, k[j].w, sum);
                }
            }
        }
    }
    /// Weights of the page into shared memory; maximum, total and sums go along.
    __device__ __forceinline__ void weigh(int page, const float (&scores)[kRows][4]) {
        const float scale = launch.exponent_scale;
        __syncwarp();  // the weights of the page before have been read
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
            const KeyRange range = keys_of(r);
            float score[4], most = -INFINITY;
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                score[j] = launch.tanh_scale != 0.0f ? capped(scores[r][j], launch.tanh_scale)
                                                     : scores[r][j];
                if (!range.has(page * kPageKeys + lane + j * 16)) score[j] = -INFINITY;
                most = fmaxf(most, score[j]);
            }
            for (int lanes = 1; lanes < 16; lanes *= 2)
                most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, lanes));
            const float now = fmaxf(max[r], __fmul_rn(most, scale)), base = fmaxf(now, kLowest);
            const float factor = exp2_approx(max[r] - base);
            max[r] = now;
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                score[j] = exp2_approx(fmaf(score[j], scale, -base));
                weights[r * Shape::kWeightStride + lane + j * 16] = score[j];
            }
            float sum = (score[0] + score[1]) + (score[2] + score[3]);
            for (int lanes = 1; lanes < 16; lanes *= 2)
                sum += __shfl_xor_sync(kAllLanes, sum, lanes);
            total[r] = fmaf(total[r], factor, sum);
#pragma unroll
            for (int i = 0; i < kFours * 4; ++i)
                sums[r][i / 4][i % 4] = __fmul_rn(sums[r][i / 4][i % 4], factor);
        }
        __syncwarp();
    }
    /// sums += weights · values. `kMixed`: some vectors do not see some keys, and zeros stand in
    /// for the values of those, which need not be finite.
    template <bool kMixed>
    __device__ __forceinline__ void multiply_values(int page, const float* values) {
#pragma unroll 2
        for (int key = 0; key < kPageKeys; ++key) {
            float4 v[kFours] = {};
#pragma unroll
            for (int f = 0; f < kFours; ++f)
                if (column(f) < Shape::kHeadDim)
                    v[f] =
                        *reinterpret_cast<const float4*>(values + key * Shape::kStride + column(f));
#pragma unroll
            for (int r = 0; r < kRows; ++r) {
                const float weight = weights[r * Shape::kWeightStride + key];
                if (kMixed && !keys_of(r).has(page * kPageKeys + key)) continue;
#pragma unroll
                for (int f = 0; f < kFours; ++f) {
                    if (column(f) >= Shape::kHeadDim) continue;
                    float(&sum)[4] = sums[r][f];
                    sum[0] = fmaf(weight, v[f].x, sum[0]);
                    sum[1] = fmaf(weight, v[f].y, sum[1]);
                    sum[2] = fmaf(weight, v[f].z, sum[2]);
                    sum[3] = fmaf(weight, v[f].w, sum[3]);
                }
            }
        }
    }

    /// As in attention_sums.cuh.
    __device__ __forceinline__ void store(int run, bool before, bool last) {
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
            const bool there = first_row + r < tile.num_vectors;
            const std::int64_t head_index =
                tile.head_index(tile.first_vector + first_row + r, launch.call.heads);
            float* partial = partial_of(launch, run, head_index);
            if (before) merge_partial(partial, there, r);
            if (!there) continue;
            const float inverse = 1.0f / total[r];
            float* out = static_cast<float*>(launch.call.out) + head_index * Shape::kHeadDim;
            for_my_columns(r, [&](int at, float& sum) {
                (last ? out : partial)[at] = last ? finished(sum, inverse) : sum;
            });
            if (!last && lane == 0) {
                partial[Shape::kHeadDim] = max[r];
                partial[Shape::kHeadDim + 1] = total[r];
            }
        }
    }

 private:
    __device__ __forceinline__ int column(int four) const {
        return four * 64 + lane * 4;
    }
    __device__ __forceinline__ KeyRange keys_of(int r) const {
        return tile.keys(tile.first_vector + first_row + r);
    }
    template <typename F>
    __device__ __forceinline__ void for_my_columns(int r, const F& f) {
#pragma unroll
        for (int i = 0; i < kFours * 4; ++i)
            if (column(i / 4) < Shape::kHeadDim) f(column(i / 4) + i % 4, sums[r][i / 4][i % 4]);
    }
    __device__ __forceinline__ void merge_partial(const float* partial, bool there, int r) {
        const float earlier_max = there ? partial[Shape::kHeadDim] : -INFINITY;
        const float earlier_total = there ? partial[Shape::kHeadDim + 1] : 0.0f;
        __syncwarp();  // all lanes have read what one of them will overwrite
        const Merge m = merge_of(earlier_max, max[r]);
        max[r] = m.max;
        total[r] = merged(m, earlier_total, total[r]);
        if (there)
            for_my_columns(r, [&](int at, float& sum) { sum = merged(m, partial[at], sum); });
    }
};

template <typename Shape>
__global__ void __launch_bounds__(Shape::kThreads)
    attention_fma(const __grid_constant__ AttentionLaunch launch) {
    __shared__ AttentionTile tile;
    if (!find_tile<Shape::kRows>(launch, tile)) return;
    auto* shared = dynamic_shared<unsigned char>();
    PageRing<typename Shape::Copy, Shape::kSlots> ring{launch, tile, shared};
    ring.start_first();
    ThreadRows<Shape> rows(launch, tile,
                           reinterpret_cast<float*>(shared + Shape::kSlots * Shape::Copy::kTotal));

    bool before = false;  // earlier runs lie in scratch memory
    for (int page = tile.page_begin;;) {
        ring.wait();
        __syncthreads();
        const auto* keys = reinterpret_cast<const float*>(ring.current());
        ring.start_next();
        float scores[Shape::kThreadRows][4];
        rows.multiply_keys(keys, scores);
        rows.weigh(page, scores);

        ring.wait();
        __syncthreads();
        const auto* values = reinterpret_cast<const float*>(ring.current());
        ring.start_next();
        if (tile.mixed(page))
            rows.template multiply_values<true>(page, values);
        else
            rows.template multiply_values<false>(page, values);

        const bool last = ++page == tile.page_end;
        if (!last && page % kSplitPages != 0) continue;
        rows.store(launch.split ? static_cast<int>(blockIdx.z) : 0, before, last && !launch.split);
        if (last) break;
        rows.clear();
        before = true;
    }
}

}  // namespace muster::cuda
