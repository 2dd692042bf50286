#pragma once
// The vectors of a warp and their scores: queries · keys, by matrix instructions. See
// attention_mma.cuh.

#include "cuda/attention_pairs.cuh"
#include "cuda/attention_tile.cuh"
#include "cuda/ptx.cuh"

namespace muster::cuda {

/// Keys that some, and that all vectors of a warp see.
struct WarpKeys {
    KeyRange seen, seen_by_all;
};

template <typename Shape>
struct WarpQueries {
    using Element = typename Shape::Element;
    static constexpr int kTiles = Shape::kTiles;

    const AttentionLaunch& launch;
    const AttentionTile& tile;
    WarpKeys& keys;
    int lane, first_row;            ///< first_row of this warp in the block's tile
    unsigned char* shared_queries;  ///< [kWarpRows, kStride], unless they stay in registers
    std::uint32_t queries[kTiles][Shape::kQueriesStay ? Shape::kSteps : 1][4];

    /// `warp_keys` [kWarps] and `shared` are shared memory.
    __device__ __forceinline__ WarpQueries(const AttentionLaunch& l, const AttentionTile& t,
                                           WarpKeys* warp_keys, unsigned char* shared)
        : launch(l),
          tile(t),
          keys(warp_keys[threadIdx.x / 32]),
          lane(static_cast<int>(threadIdx.x % 32)),
          first_row(static_cast<int>(threadIdx.x / 32) / Shape::kSharing * Shape::kWarpRows) {
        shared_queries = shared + first_row * Shape::kStride;
        if (lane == 0) keys = warp_keys_of();
        load_queries();
        __syncwarp();
    }
    __device__ __forceinline__ WarpKeys warp_keys_of() const {
        const int last = min(first_row + Shape::kWarpRows, tile.num_vectors) - 1;
        if (last < first_row) return {{0, 0}, {0, 0}};
        const KeyRange a = tile.keys(tile.first_vector + first_row);
        const KeyRange b = tile.keys(tile.first_vector + last);
        return {{a.begin, b.end}, {b.begin, a.end}};
    }
    /// In the block's tile.
    __device__ __forceinline__ int row(int t, int half) const {
        return first_row + t * 16 + half * 8 + lane / 4;
    }
    __device__ __forceinline__ bool sees(int page) const {
        return keys.seen.begin < page * kPageKeys + kPageKeys && keys.seen.end > page * kPageKeys;
    }
    __device__ __forceinline__ bool sees_all(int page) const {
        return keys.seen_by_all.begin <= page * kPageKeys &&
               keys.seen_by_all.end >= page * kPageKeys + kPageKeys;
    }

    /// Rounds the warp's queries to the element type; rows that there are not become zeros.
    __device__ __forceinline__ void load_queries() {
        const AttentionCall& call = launch.call;
#pragma unroll
        for (int t = 0; t < kTiles; ++t) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const int r = row(t, half), vector = tile.first_vector + r;
                const bool there = r < tile.num_vectors;
                const std::int64_t in_step = tile.sequence.first_row + vector / tile.group;
                const float* q =
                    call.q + in_step * call.q_stride +
                    (tile.kv_head * tile.group + vector % tile.group) * Shape::kHeadDim;
#pragma unroll
                for (int i = 0; i < 2 * Shape::kSteps; ++i) {
                    const int column = i * 8 + lane % 4 * 2;
                    float2 two = make_float2(0.0f, 0.0f);
                    if (there && column < Shape::kHeadDim)
                        two = *reinterpret_cast<const float2*>(q + column);
                    const std::uint32_t pair = pack_pair(two.x, two.y, Element{});
                    if constexpr (Shape::kQueriesStay)
                        queries[t][i / 2][i % 2 * 2 + half] = pair;
                    else
                        *reinterpret_cast<std::uint32_t*>(
                            shared_queries + (r - first_row) * Shape::kStride + column * 2) = pair;
                }
            }
        }
    }
    __device__ __forceinline__ void query_fragment(int t, int step, std::uint32_t (&a)[4]) const {
        if constexpr (Shape::kQueriesStay) {
#pragma unroll
            for (int i = 0; i < 4; ++i) a[i] = queries[t][step][i];
        } else {
            ldmatrix_x4(a, shared_queries + (t * 16 + lane % 16) * Shape::kStride + step * 32 +
                               lane / 16 * 16);
        }
    }

    /// scores [vectors, keys] ← queries · keys.
    __device__ __forceinline__ void multiply_keys(const unsigned char* page,
                                                  float (&scores)[kTiles][8][4]) const {
#pragma unroll
        for (int t = 0; t < kTiles; ++t)
#pragma unroll
            for (int n = 0; n < 8; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i) scores[t][n][i] = 0.0f;
        const unsigned char* from =
            page + (lane % 8 + lane / 16 * 8) * Shape::kStride + lane / 8 % 2 * 16;
#pragma unroll
        for (int step = 0; step < Shape::kSteps; ++step) {
            std::uint32_t a[kTiles][4];
#pragma unroll
            for (int t = 0; t < kTiles; ++t) query_fragment(t, step, a[t]);
#pragma unroll
            for (int n = 0; n < 8; n += 2) {
                std::uint32_t k[4];
                ldmatrix_x4(k, from + n * 8 * Shape::kStride + step * 32);
                const std::uint32_t first[2] = {k[0], k[1]}, second[2] = {k[2], k[3]};
#pragma unroll
                for (int t = 0; t < kTiles; ++t) {
                    mma_m16n8k16<Element>(scores[t][n], a[t], first);
                    mma_m16n8k16<Element>(scores[t][n + 1], a[t], second);
                }
            }
        }
    }

    /// Scores of keys that a vector does not see become −infinity.
    __device__ __forceinline__ void hide_keys(int page, float (&scores)[kTiles][8][4]) const {
#pragma unroll
        for (int t = 0; t < kTiles; ++t) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const KeyRange range = tile.keys(tile.first_vector + row(t, half));
                const int first = page * kPageKeys + lane % 4 * 2;
#pragma unroll
                for (int i = 0; i < 16; ++i)
                    if (!range.has(first + i / 2 * 8 + i % 2))
                        scores[t][i / 2][half * 2 + i % 2] = -INFINITY;
            }
        }
    }

    /// scores ← tanh(score · scale / soft_cap) = 1 − 2 / (e^2x + 1).
    __device__ __forceinline__ void cap_scores(float (&scores)[kTiles][8][4]) const {
#pragma unroll
        for (int t = 0; t < kTiles; ++t)
#pragma unroll
            for (int n = 0; n < 8; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    scores[t][n][i] = capped(scores[t][n][i], launch.tanh_scale);
    }
};

}  // namespace muster::cuda
