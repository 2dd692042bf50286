#pragma once
// From the scores of a warp's vectors to sums of values and results: running softmax, weights ·
// values by matrix instructions, partial results. See attention_mma.cuh.

#include "cuda/attention_merge.cuh"
#include "cuda/attention_scores.cuh"

namespace muster::cuda {

template <typename Shape>
struct WarpRows : WarpQueries<Shape> {
    using Queries = WarpQueries<Shape>;
    using Element = typename Shape::Element;
    using Queries::lane, Queries::launch, Queries::row, Queries::tile;
    static constexpr int kTiles = Shape::kTiles;
    static constexpr int kColumns = Shape::kColumns;
    static constexpr bool kPadding = Shape::kPadded != Shape::kHeadDim;

    const int first_column;  ///< of this warp's, in eights
    float max[kTiles][2];
    float sums[kTiles][kColumns + 1][4];  ///< the last one of the weights

    /// See WarpQueries.
    __device__ __forceinline__ WarpRows(const AttentionLaunch& l, const AttentionTile& t,
                                        WarpKeys* warp_keys, unsigned char* shared)
        : Queries(l, t, warp_keys, shared),
          first_column(static_cast<int>(threadIdx.x / 32) % Shape::kSharing * kColumns) {
        clear();
    }
    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int t = 0; t < kTiles; ++t) {
            max[t][0] = max[t][1] = -INFINITY;
#pragma unroll
            for (int n = 0; n <= kColumns; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i) sums[t][n][i] = 0.0f;
        }
    }

    /// Scores become weights as fragments of a product with values; maximum and sums go along.
    __device__ __forceinline__ void weigh(float (&scores)[kTiles][8][4],
                                          std::uint32_t (&weights)[kTiles][4][4]) {
        const float scale = launch.exponent_scale;
#pragma unroll
        for (int t = 0; t < kTiles; ++t) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                float most = -INFINITY;
#pragma unroll
                for (int i = 0; i < 16; ++i) most = fmaxf(most, scores[t][i / 2][half * 2 + i % 2]);
                most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 1));
                most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 2));
                const float now = fmaxf(max[t][half], __fmul_rn(most, scale));
                const float base = fmaxf(now, kLowest);
                const float factor = exp2_approx(max[t][half] - base);
                max[t][half] = now;
#pragma unroll
                for (int i = 0; i < 16; ++i) {
                    float& score = scores[t][i / 2][half * 2 + i % 2];
                    score = exp2_approx(fmaf(score, scale, -base));
                }
#pragma unroll
                for (int n = 0; n <= kColumns; ++n) {
                    sums[t][n][half * 2] = __fmul_rn(sums[t][n][half * 2], factor);
                    sums[t][n][half * 2 + 1] = __fmul_rn(sums[t][n][half * 2 + 1], factor);
                }
            }
#pragma unroll
            for (int i = 0; i < 16; ++i)
                weights[t][i / 4][i % 4] = pack_pair(scores[t][i / 2][i % 2 * 2],
                                                     scores[t][i / 2][i % 2 * 2 + 1], Element{});
        }
    }

    /// sums += weights · values.
    __device__ __forceinline__ void multiply_values(const unsigned char* values,
                                                    const std::uint32_t (&weights)[kTiles][4][4]) {
        const std::uint32_t one = pack_pair(1.0f, 1.0f, Element{});
        const std::uint32_t ones[2] = {one, one};
        const unsigned char* from =
            values + lane % 16 * Shape::kStride + lane / 16 * 16 + first_column * 16;
#pragma unroll
        for (int step = 0; step < kPageKeys / 16; ++step) {
#pragma unroll
            for (int t = 0; t < kTiles; ++t)
                mma_m16n8k16<Element>(sums[t][kColumns], weights[t][step], ones);
#pragma unroll
            for (int n = 0; n < kColumns; n += 2) {
                std::uint32_t v[4];
                ldmatrix_x4_transposed(v, from + step * 16 * Shape::kStride + n * 16);
                const std::uint32_t first[2] = {v[0], v[1]}, second[2] = {v[2], v[3]};
#pragma unroll
                for (int t = 0; t < kTiles; ++t) {
                    mma_m16n8k16<Element>(sums[t][n], weights[t][step], first);
                    mma_m16n8k16<Element>(sums[t][n + 1], weights[t][step], second);
                }
            }
        }
    }

    /// The share in multiply_values of values that are not finite, for vectors that see them; the
    /// others would get NaN out of weight 0 there. `room`: shared memory for the block, 2 KiB a
    /// warp.
    __device__ __forceinline__ void add_unusual_values(int page, const unsigned char* values,
                                                       const std::uint32_t (&weights)[kTiles][4][4],
                                                       unsigned char* room) {
        static_assert(Shape::kWarps * 2048 <= Shape::Copy::kTotal);
        auto* mine = reinterpret_cast<std::uint32_t*>(room + threadIdx.x / 32 * 2048) +
                     lane / 4 * 32;  // [16 vectors, 32 pairs of keys]
#pragma unroll
        for (int t = 0; t < kTiles; ++t) {
            __syncwarp();
#pragma unroll
            for (int i = 0; i < 16; ++i)
                mine[i % 2 * 256 + i / 2 * 4 + lane % 4] = weights[t][i / 4][i % 4];
            __syncwarp();
            const KeyRange first = tile.keys(tile.first_vector + row(t, 0));
            const KeyRange second = tile.keys(tile.first_vector + row(t, 1));
#pragma unroll 1
            for (int key = 0; key < kPageKeys; ++key) {
                const float2 a = unpack_pair(mine[key / 2], Element{});
                const float2 b = unpack_pair(mine[key / 2 + 256], Element{});
                const float weight[2] = {key % 2 == 0 ? a.x : a.y, key % 2 == 0 ? b.x : b.y};
                const bool sees_key[2] = {first.has(page * kPageKeys + key),
                                          second.has(page * kPageKeys + key)};
#pragma unroll
                for (int n = 0; n < kColumns; ++n) {
                    const auto pair = *reinterpret_cast<const std::uint32_t*>(
                        values + key * Shape::kStride + (first_column + n) * 16 + lane % 4 * 4);
                    const std::uint32_t finite = finite_mask<Element>(pair);
                    const float2 two = unpack_pair(pair, Element{});
#pragma unroll
                    for (int i = 0; i < 4; ++i)
                        if ((finite >> (i % 2 * 16) & 1u) == 0 && sees_key[i / 2])
                            sums[t][n][i] =
                                fmaf(weight[i / 2], i % 2 == 0 ? two.x : two.y, sums[t][n][i]);
                }
            }
        }
    }

    /// Writes what the pages so far came to: the rows themselves if `last`, else a partial result
    /// for run `run`. `before`: a partial result of earlier runs, in the place of run 0, is put in
    /// front.
    __device__ __forceinline__ void store(int run, bool before, bool last) {
#pragma unroll
        for (int t = 0; t < kTiles; ++t) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const int r = row(t, half);
                const bool there = r < tile.num_vectors;
                const std::int64_t head_index =
                    tile.head_index(tile.first_vector + r, launch.call.heads);
                float* partial = partial_of(launch, run, head_index);
                if (before) merge_partial(partial, there, t, half);
                if (!there) continue;
                float& sum = sums[t][kColumns][half * 2];
                const float inverse = 1.0f / sum;
                auto* out = static_cast<std::uint32_t*>(launch.call.out) +
                            head_index * (Shape::kHeadDim / 2) + first_column * 4 + lane % 4;
                float* columns = partial + first_column * 8 + lane % 4 * 2;
#pragma unroll
                for (int n = 0; n < kColumns; ++n) {
                    if (kPadding && n * 8 >= Shape::kHeadDim) continue;
                    const float a = sums[t][n][half * 2], b = sums[t][n][half * 2 + 1];
                    if (last)
                        out[n * 4] =
                            pack_pair(finished(a, inverse), finished(b, inverse), Element{});
                    else
                        *reinterpret_cast<float2*>(columns + n * 8) = make_float2(a, b);
                }
                if (!last && lane % 4 == 0 && first_column == 0) {
                    partial[Shape::kHeadDim] = max[t][half];
                    partial[Shape::kHeadDim + 1] = sum;
                }
            }
        }
    }

 private:
    /// Puts the partial result of earlier runs in front of the sums of a half.
    __device__ __forceinline__ void merge_partial(const float* partial, bool there, int t,
                                                  int half) {
        const float earlier_max = there ? partial[Shape::kHeadDim] : -INFINITY;
        const float earlier_sum = there ? partial[Shape::kHeadDim + 1] : 0.0f;
        // All that share the vector have read what one of them will overwrite.
        if constexpr (Shape::kSharing > 1)
            __syncthreads();
        else
            __syncwarp();
        const Merge m = merge_of(earlier_max, max[t][half]);
        max[t][half] = m.max;
        const float* columns = partial + first_column * 8 + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < kColumns; ++n) {
            if ((kPadding && n * 8 >= Shape::kHeadDim) || !there) continue;
            const float2 earlier = *reinterpret_cast<const float2*>(columns + n * 8);
            sums[t][n][half * 2] = merged(m, earlier.x, sums[t][n][half * 2]);
            sums[t][n][half * 2 + 1] = merged(m, earlier.y, sums[t][n][half * 2 + 1]);
        }
        float& sum = sums[t][kColumns][half * 2];
        sum = merged(m, earlier_sum, sum);
    }
};

}  // namespace muster::cuda
