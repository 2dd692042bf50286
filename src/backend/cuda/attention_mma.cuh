#pragma once
// Attention in 16 bits on tensor cores (mma.m16n8k16), after FlashAttention-2 (arXiv 2307.08691).
//
// A warp has kTiles · 16 vectors to itself and walks with its block over the pages of their keys:
// scores = queries · keys, weights = 2^(score − running maximum) rounded to the element type,
// sums = sums · 2^(old − new maximum) + weights · values. A row's weights are summed as one more
// column of values, all ones, so that their order, too, is the matrix instruction's and whichever
// warps share the work. Fragments are named as in the PTX ISA: lane l holds rows l / 4 and
// l / 4 + 8 ("halves" 0 and 1), columns 2 (l mod 4) and the next.
//
// Every kernel does the same instructions for a vector, in the same order: prefill and decode
// differ in how many vectors a warp has and how many warps a block.

#include "cuda/attention_tile.cuh"

namespace muster::cuda {

template <typename T, int HeadDim, int Warps, int Tiles, int Slots>
struct MmaShape {
    using Element = T;
    static constexpr int kHeadDim = HeadDim, kWarps = Warps, kTiles = Tiles, kSlots = Slots;
    static constexpr int kPadded = HeadDim < 16 ? 16 : HeadDim;
    static constexpr int kThreads = 32 * Warps;
    static constexpr int kWarpRows = 16 * Tiles, kRows = Warps * kWarpRows;
    static constexpr int kSteps = kPadded / 16;   ///< of a product along the head
    static constexpr int kColumns = kPadded / 8;  ///< of the result, in eights
    using Copy = PageCopy<HeadDim * 2, kPadded * 2, kThreads>;
    /// Queries stay in registers if they leave room for sums and scores, in shared memory if not.
    static constexpr bool kQueriesStay = kSteps * 4 * Tiles <= 40;
    static constexpr int kStride = Copy::kStride;
    static constexpr int kSharedBytes = Slots * Copy::kTotal + (kQueriesStay ? 0 : kRows * kStride);
};

// --- elements
// -------------------------------------------------------------------------------------
/// The same bytes as another type; the toolkit's pairs do not count as trivially copyable.
template <typename To, typename From>
__device__ __forceinline__ To bytes_as(const From& from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof(To));
    return to;
}
__device__ __forceinline__ std::uint32_t pack_pair(float low, float high, __nv_bfloat16) {
    return bytes_as<std::uint32_t>(__floats2bfloat162_rn(low, high));
}
__device__ __forceinline__ std::uint32_t pack_pair(float low, float high, __half) {
    return bytes_as<std::uint32_t>(__floats2half2_rn(low, high));
}
__device__ __forceinline__ float2 unpack_pair(std::uint32_t pair, __nv_bfloat16) {
    return __bfloat1622float2(bytes_as<__nv_bfloat162>(pair));
}
__device__ __forceinline__ float2 unpack_pair(std::uint32_t pair, __half) {
    return __half22float2(bytes_as<__half2>(pair));
}
/// The exponent bits of a pair; all set in an element that is infinite or NaN.
__device__ __forceinline__ std::uint32_t exponents(__nv_bfloat16) {
    return 0x7f807f80u;
}
__device__ __forceinline__ std::uint32_t exponents(__half) {
    return 0x7c007c00u;
}
/// All ones in the halves of `pair` that are finite.
template <typename Element>
__device__ __forceinline__ std::uint32_t finite_mask(std::uint32_t pair) {
    const std::uint32_t all = exponents(Element{}), low = all & 0xffffu, high = all & 0xffff0000u;
    return ((pair & low) != low ? 0xffffu : 0u) | ((pair & high) != high ? 0xffff0000u : 0u);
}

/// Keys that some, and that all vectors of a warp see.
struct WarpKeys {
    KeyRange seen, seen_by_all;
};

// --- a warp's vectors
// -----------------------------------------------------------------------------
template <typename Shape>
struct WarpRows {
    using Element = typename Shape::Element;
    static constexpr int kTiles = Shape::kTiles;
    static constexpr int kColumns = Shape::kColumns;

    const AttentionLaunch& launch;
    const AttentionTile& tile;
    WarpKeys& keys;
    int lane, first_row;            ///< first_row of this warp in the block's tile
    unsigned char* shared_queries;  ///< [kWarpRows, kStride], unless they stay in registers
    std::uint32_t queries[kTiles][Shape::kQueriesStay ? Shape::kSteps : 1][4];
    float max[kTiles][2];
    float sums[kTiles][kColumns + 1][4];  ///< the last one of the weights

    /// `warp_keys` [kWarps] and `shared` are shared memory.
    __device__ __forceinline__ WarpRows(const AttentionLaunch& l, const AttentionTile& t,
                                        WarpKeys* warp_keys, unsigned char* shared)
        : launch(l),
          tile(t),
          keys(warp_keys[threadIdx.x / 32]),
          lane(static_cast<int>(threadIdx.x % 32)),
          first_row(static_cast<int>(threadIdx.x / 32) * Shape::kWarpRows) {
        shared_queries = shared + first_row * Shape::kStride;
        if (lane == 0) keys = warp_keys_of();
        load_queries();
        __syncwarp();
        clear();
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
        const unsigned char* from = values + lane % 16 * Shape::kStride + lane / 16 * 16;
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
                        values + key * Shape::kStride + n * 16 + lane % 4 * 4);
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

    // --- results
    // ----------------------------------------------------------------------------------
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
                            head_index * (Shape::kHeadDim / 2);
#pragma unroll
                for (int n = 0; n < kColumns; ++n) {
                    if (n * 8 >= Shape::kHeadDim) continue;
                    const float a = sums[t][n][half * 2], b = sums[t][n][half * 2 + 1];
                    if (last)
                        out[n * 4 + lane % 4] =
                            pack_pair(finished(a, inverse), finished(b, inverse), Element{});
                    else
                        *reinterpret_cast<float2*>(partial + n * 8 + lane % 4 * 2) =
                            make_float2(a, b);
                }
                if (!last && lane % 4 == 0) {
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
        __syncwarp();  // all lanes have read what one of them will overwrite
        const Merge m = merge_of(earlier_max, max[t][half]);
        max[t][half] = m.max;
#pragma unroll
        for (int n = 0; n < kColumns; ++n) {
            if (n * 8 >= Shape::kHeadDim || !there) continue;
            const float2 earlier = *reinterpret_cast<const float2*>(partial + n * 8 + lane % 4 * 2);
            sums[t][n][half * 2] = merged(m, earlier.x, sums[t][n][half * 2]);
            sums[t][n][half * 2 + 1] = merged(m, earlier.y, sums[t][n][half * 2 + 1]);
        }
        float& sum = sums[t][kColumns][half * 2];
        sum = merged(m, earlier_sum, sum);
    }
};

/// Whether this thread's share of a page of values holds one that is not finite; with `clear`,
/// makes those zeros.
template <typename Shape>
__device__ __forceinline__ bool unusual_values(unsigned char* values, bool clear) {
    bool found = false;
    Shape::Copy::for_my_units([&](int row, int unit) {
        auto* pairs = reinterpret_cast<std::uint32_t*>(values + row * Shape::kStride + unit * 16);
        for (int i = 0; i < 4; ++i) {
            const std::uint32_t finite = finite_mask<typename Shape::Element>(pairs[i]);
            if (finite == kAllLanes) continue;
            found = true;
            if (clear) pairs[i] &= finite;
        }
    });
    return found;
}

template <typename Shape>
__global__ void __launch_bounds__(Shape::kThreads)
    attention_mma(const __grid_constant__ AttentionLaunch launch) {
    __shared__ AttentionTile tile;
    __shared__ WarpKeys warp_keys[Shape::kWarps];
    if (!find_tile<Shape::kRows>(launch, tile)) return;
    auto* shared = dynamic_shared<unsigned char>();
    PageRing<typename Shape::Copy, Shape::kSlots> ring{launch, tile, shared};
    ring.start_first();
    WarpRows<Shape> rows(launch, tile, warp_keys, shared + Shape::kSlots * Shape::Copy::kTotal);

    bool before = false;  // earlier runs lie in scratch memory
    for (int page = tile.page_begin;;) {
        const bool sees = rows.sees(page);
        std::uint32_t weights[Shape::kTiles][4][4];

        ring.wait();
        __syncthreads();
        unsigned char* const keys = ring.current();
        ring.start_next();
        if (sees) {
            float scores[Shape::kTiles][8][4];
            rows.multiply_keys(keys, scores);
            if (launch.tanh_scale != 0.0f) rows.cap_scores(scores);
            if (!rows.sees_all(page)) rows.hide_keys(page, scores);
            rows.weigh(scores, weights);
        }

        ring.wait();
        unsigned char* const values = ring.current();
        bool unusual = false;
        if (tile.mixed(page))
            unusual = __syncthreads_or(unusual_values<Shape>(values, false)) != 0;
        else
            __syncthreads();
        if (unusual) {
            if (sees) rows.add_unusual_values(page, values, weights, keys);
            __syncthreads();
            (void)unusual_values<Shape>(values, true);
            __syncthreads();
        }
        ring.start_next();
        if (sees) rows.multiply_values(values, weights);

        const bool last = ++page == tile.page_end;
        if (!last && page % kSplitPages != 0) continue;
        rows.store(launch.split ? static_cast<int>(blockIdx.z) : 0, before, last && !launch.split);
        if (last) break;
        rows.clear();
        before = true;
    }
}

}  // namespace muster::cuda
