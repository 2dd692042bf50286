#include "cuda/experts.h"

#include "cuda/elements.cuh"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "cuda/tile_product.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

constexpr int kRouteWarps = 4, kSortWarps = 16, kSumThreads = 256;

struct Choice {
    float probability = -2;
    int expert = kMaxExperts;
};

/// One warp per row; lane l holds experts l, l + 32, …
template <int kPerLane>
__global__ void route_kernel(const float* logits, std::int64_t stride, std::int64_t rows,
                             int experts, ExpertRouting routing, Routes routes) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const std::int64_t row =
        static_cast<std::int64_t>(blockIdx.x) * kRouteWarps + static_cast<int>(threadIdx.x) / 32;
    if (row >= rows) return;  // the whole warp
    const auto larger = [](float a, float b) { return a > b ? a : b; };
    const auto sum_of = [](float a, float b) { return a + b; };
    float p[kPerLane];
    float max = -__int_as_float(0x7f800000);
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
        const int expert = lane + 32 * i;
        p[i] = expert < experts ? logits[row * stride + expert] : -__int_as_float(0x7f800000);
        max = larger(p[i], max);
    }
    max = reduce_warp(max, larger);
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
        p[i] = lane + 32 * i < experts ? expf(p[i] - max) : 0.0f;
        sum = sum + p[i];
    }
    sum = reduce_warp(sum, sum_of);
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) p[i] = __fdiv_rn(p[i], sum);

    unsigned chosen = 0;  // bit i: expert lane + 32 · i
    float total = 0;
    for (int j = 0; j < routing.top_k; ++j) {
        Choice best;
#pragma unroll
        for (int i = 0; i < kPerLane; ++i) {
            const int expert = lane + 32 * i;
            // NaN, which is no order, comes behind all numbers.
            const float candidate = p[i] >= 0.0f ? p[i] : -1.0f;
            if (expert < experts && (chosen >> i & 1u) == 0 && candidate > best.probability)
                best = {candidate, expert};
        }
        for (int lanes = 16; lanes > 0; lanes /= 2) {
            const Choice other{__shfl_xor_sync(kAllLanes, best.probability, lanes),
                               __shfl_xor_sync(kAllLanes, best.expert, lanes)};
            if (other.probability > best.probability ||
                (other.probability == best.probability && other.expert < best.expert))
                best = other;
        }
        if (best.expert % 32 == lane) chosen |= 1u << best.expert / 32;
        total = total + best.probability;
    }
    int before = 0;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
        const bool mine = (chosen >> i & 1u) != 0;
        const unsigned all = __ballot_sync(kAllLanes, mine);
        if (mine) {
            const std::int64_t at = row * routing.top_k + before + __popc(all & ((1u << lane) - 1));
            routes.experts[at] = lane + 32 * i;
            routes.weights[at] = routing.normalize ? __fdiv_rn(p[i], total) : p[i];
        }
        before += __popc(all);
    }
}

/// Block e finds the places of expert e. Each warp looks at a part of the list twice: to count, and
/// to write behind what it and the warps before it have counted. An expert's positions begin behind
/// those of all lower ones, which the same look counts, so no block waits for another.
__global__ void sort_kernel(std::int64_t length, int top_k, int experts, Routes routes) {
    __shared__ std::int32_t equal[kSortWarps], lower[kSortWarps];
    const auto expert = static_cast<std::int32_t>(blockIdx.x);
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    const std::int64_t part = (length + 32 * kSortWarps - 1) / (32 * kSortWarps) * 32;
    const std::int64_t begin = warp * part < length ? warp * part : length,
                       end = begin + part < length ? begin + part : length;
    const auto at = [&](std::int64_t i) { return i < end ? routes.experts[i] : experts; };
    std::int32_t own_equal = 0, own_lower = 0;
    for (std::int64_t i = begin; i < end; i += 32) {
        const std::int32_t other = at(i + lane);
        own_equal += __popc(__ballot_sync(kAllLanes, other == expert));
        own_lower += __popc(__ballot_sync(kAllLanes, other < expert));
    }
    if (lane == 0) {
        equal[warp] = own_equal;
        lower[warp] = own_lower;
    }
    __syncthreads();
    std::int32_t offset = 0, count = 0, before = 0;
    for (int w = 0; w < kSortWarps; ++w) {
        offset += lower[w];
        if (w < warp) before += equal[w];
        count += equal[w];
    }
    if (threadIdx.x == 0) {
        routes.offsets[expert] = offset;
        if (expert == experts - 1) routes.offsets[experts] = offset + count;
    }
    std::int32_t next = offset + before;
    for (std::int64_t i = begin; i < end; i += 32) {
        const bool mine = at(i + lane) == expert;
        const unsigned all = __ballot_sync(kAllLanes, mine);
        if (mine) {
            const std::int32_t place = next + __popc(all & ((1u << lane) - 1));
            routes.rows_of[place] = static_cast<std::int32_t>((i + lane) / top_k);
            routes.places[i + lane] = place;
        }
        next += __popc(all);
    }
}

/// One thread per four neighbours of a row of a shard.
__global__ void add_experts_kernel(ExpertSums s, Routes routes, bool whole) {
    const std::int64_t at = 4 * (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x);
    if (at >= s.n) return;
    const float* const parts = s.parts + blockIdx.z * s.part_shard;
    float* const out = s.out + blockIdx.z * s.out_shard;
    for (std::int64_t row = blockIdx.y; row < s.rows; row += gridDim.y) {
        float sum[4] = {0, 0, 0, 0};
        for (int j = 0; j < s.top_k; ++j) {
            const std::int64_t taken = (s.begin + row) * s.top_k + j;
            const float weight = routes.weights[taken];
            float part[4];
            load4(parts + routes.places[taken] * s.n, at, s.n, whole, part);
            for (int i = 0; i < 4; ++i) sum[i] = __fmaf_rn(weight, part[i], sum[i]);
        }
        if (s.add) {
            float old[4];
            load4(out + row * s.out_stride, at, s.n, whole, old);
            for (int i = 0; i < 4; ++i) sum[i] = old[i] + sum[i];
        }
        store4(out + row * s.out_stride, at, s.n, whole, sum);
    }
}

}  // namespace

void route(const float* logits, std::int64_t stride, std::int64_t rows, int experts,
           const ExpertRouting& routing, const Routes& routes, cudaStream_t stream) {
    if (experts < 1 || experts > kMaxExperts || routing.top_k < 1 || routing.top_k > experts)
        throw InternalError(cat("route: ", routing.top_k, " of ", experts,
                                " experts; expected at most ", kMaxExperts));
    if (rows == 0) return;
    const auto start = [&](auto kernel) {
        launch("route", kernel, dim3(blocks_for(rows, kRouteWarps)), 32 * kRouteWarps, 0, stream,
               logits, stride, rows, experts, routing, routes);
    };
    if (experts <= 32)
        start(route_kernel<1>);
    else if (experts <= 128)
        start(route_kernel<4>);
    else
        start(route_kernel<kMaxExperts / 32>);
    launch("sort by experts", sort_kernel, dim3(static_cast<unsigned>(experts)), 32 * kSortWarps, 0,
           stream, rows * routing.top_k, routing.top_k, experts, routes);
}

void add_experts(const ExpertSums& s, const Routes& routes, cudaStream_t stream) {
    if (s.rows == 0 || s.n == 0) return;
    const bool whole = by_fours(s.parts, s.n, s.part_shard, sizeof(float)) &&
                       by_fours(s.out, s.n, s.out_stride, sizeof(float)) && s.out_shard % 4 == 0;
    const unsigned columns = blocks_for(s.n, 4 * kSumThreads);
    const auto rows = static_cast<unsigned>(s.rows < 4096 ? s.rows : 4096);
    launch("add_experts", add_experts_kernel, dim3(columns, rows, static_cast<unsigned>(s.shards)),
           kSumThreads, 0, stream, s, routes, whole);
}

}  // namespace muster::cuda
