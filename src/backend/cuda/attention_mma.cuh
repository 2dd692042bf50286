#pragma once
// Attention in 16 bits on tensor cores (mma.m16n8k16), after FlashAttention-2 (arXiv 2307.08691).
//
// A warp has kTiles · 16 vectors, some warps may have the same, and a block walks over the pages of
// their keys:
// scores = queries · keys, weights = 2^(score − running maximum) rounded to the element type,
// sums = sums · 2^(old − new maximum) + weights · values. A row's weights are summed as one more
// column of values, all ones, so that their order, too, is the matrix instruction's and whichever
// warps share the work. Fragments are named as in the PTX ISA: lane l holds rows l / 4 and
// l / 4 + 8 ("halves" 0 and 1), columns 2 (l mod 4) and the next.
//
// Every kernel does the same instructions for a column of a vector, in the same order: prefill and
// decode differ in how many vectors a warp has and how many warps a block.

#include "cuda/attention_sums.cuh"

namespace muster::cuda {

/// Warps · kSharing warps: kSharing of them have the same vectors. Each of these makes all scores,
/// and its part of the columns of the result.
template <typename T, int HeadDim, int Warps, int Tiles, int Slots, int Sharing = 1>
struct MmaShape {
    using Element = T;
    static constexpr int kHeadDim = HeadDim, kTiles = Tiles, kSlots = Slots, kSharing = Sharing;
    static constexpr int kPadded = HeadDim < 16 ? 16 : HeadDim;
    static constexpr int kWarps = Warps * Sharing, kThreads = 32 * kWarps;
    static constexpr int kWarpRows = 16 * Tiles, kRows = Warps * kWarpRows;
    static constexpr int kSteps = kPadded / 16;             ///< of a product along the head
    static constexpr int kColumns = kPadded / 8 / Sharing;  ///< of a warp's result, in eights
    static_assert(kColumns % 2 == 0 && kPadded == kColumns * 8 * Sharing);
    using Copy = PageCopy<HeadDim * 2, kPadded * 2, kThreads>;
    /// Queries stay in registers if they leave room for sums and scores, in shared memory if not.
    static constexpr bool kQueriesStay = kSteps * 4 * Tiles <= (Sharing > 1 ? 64 : 40);
    static constexpr int kStride = Copy::kStride;
    static constexpr int kSharedBytes = Slots * Copy::kTotal + (kQueriesStay ? 0 : kRows * kStride);
    static_assert(Sharing == 1 || kQueriesStay);
};

/// Whether this thread's share of a page of values holds one that is not finite; with `clear`,
/// makes those zeros.
template <typename Shape>
__device__ __forceinline__ bool unusual_values(unsigned char* values, bool clear) {
    bool found = false;
    Shape::Copy::for_my_units([&](int first, int further, int unit) {
        auto* pairs = reinterpret_cast<std::uint32_t*>(values + first * Shape::kStride + unit * 16 +
                                                       further * Shape::kStride);
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
