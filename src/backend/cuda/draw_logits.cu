// A block holds a slab of one row in its registers. The columns are gone through in ascending
// order: strips of four per thread, in a strip warp by warp, in a warp lane by lane, in a lane one
// by one. Which of these parts the token is in is told by sums over them, from the largest parts
// down.

#include "cuda/draw_logits.h"

#include "cuda/reduce.cuh"
#include "cuda/slab_columns.cuh"

namespace muster::cuda {

namespace {

constexpr int kWarps = kSlabThreads / 32;
constexpr int kStrips = SlabColumns::kCount / 4, kParts = kStrips * kWarps;
static_assert(kSlabThreads * SlabColumns::kCount == kDrawBlock && kParts % 32 == 0);

/// A part that was picked and what is left to go into it.
struct Picked {
    int part;
    double rest;
};

/// Of a warp's values, one after the other, the first at which their sum exceeds `at`, in all
/// lanes; one that is 0 never, and where rounding leaves none the last one that is not.
__device__ __forceinline__ Picked pick_lane(double value, double at) {
    const unsigned lane = threadIdx.x % 32;
    double sum = value;
    for (unsigned lanes = 1; lanes < 32; lanes *= 2) {
        const double before = __shfl_up_sync(kAllLanes, sum, lanes);
        if (lane >= lanes) sum += before;
    }
    const unsigned any = __ballot_sync(kAllLanes, value > 0);
    const unsigned beyond = __ballot_sync(kAllLanes, value > 0 && sum > at);
    const int picked =
        beyond != 0 ? __ffs(static_cast<int>(beyond)) - 1 : 31 - __clz(static_cast<int>(any));
    double before = __shfl_up_sync(kAllLanes, sum, 1u);
    if (lane == 0) before = 0;
    return {picked, at - __shfl_sync(kAllLanes, before, picked)};
}

/// The same of four values of one thread.
__device__ __forceinline__ Picked pick_of_four(const double (&values)[4], double at) {
    Picked picked{0, at};
    double sum = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        if (values[i] > 0 && (sum == 0 || sum <= at)) picked = {i, at - sum};
        sum += values[i];
    }
    return picked;
}

__global__ void __launch_bounds__(kSlabThreads, 2)
    draw_slab_kernel(const float* logits, std::int64_t stride, int columns, std::int32_t first_id,
                     bool whole, const LogitDraw* draws, BlockDraw* out, std::int64_t out_stride) {
    __shared__ float max_slots[32];
    __shared__ double parts[kParts];  // sums of a strip's columns in a warp: [strips, warps]
    __shared__ Picked part;
    const auto add = [](double a, double b) { return a + b; };
    const LogitDraw draw = draws[blockIdx.x];
    BlockDraw& result = out[blockIdx.x * out_stride];
    const int warp = static_cast<int>(threadIdx.x / 32), lane = static_cast<int>(threadIdx.x % 32),
              warps = static_cast<int>(blockDim.x / 32);

    const float* row = logits + draw.row * stride;
    SlabColumns mine;
    mine.columns = columns;
    mine.first_id = first_id;
    mine.load(row, whole);
    float max = -infinity();
#pragma unroll
    for (int i = 0; i < SlabColumns::kCount; ++i)
        if (mine.exists(i) && mine.logits[i] > max) max = mine.logits[i];
    max = reduce_block(max, -infinity(), max_slots, [](float a, float b) { return a > b ? a : b; });
    if (columns == 0) {
        if (threadIdx.x == 0) result = {0, max, -1};
        return;
    }

#pragma unroll
    for (int strip = 0; strip < kStrips; ++strip) {
        double sum = 0;
#pragma unroll
        for (int i = 4 * strip; i < 4 * strip + 4; ++i)
            sum += static_cast<double>(mine.weight(i, max, draw.inverse_temperature));
        sum = reduce_warp(sum, add);
        if (lane == 0) parts[strip * warps + warp] = sum;
    }
    __syncthreads();

    if (warp == 0) {  // its lanes hold four parts each
        double four[4];
        for (int i = 0; i < 4; ++i) {
            const int at = 4 * lane + i;
            four[i] = at < kStrips * warps ? parts[at] : 0;
        }
        const double own = ((four[0] + four[1]) + four[2]) + four[3];
        const double sum = reduce_warp(own, add);
        const Picked lanes = pick_lane(own, draw.uniform * sum);
        if (lane == lanes.part) {
            const Picked last = pick_of_four(four, lanes.rest);
            part = {4 * lane + last.part, last.rest};
        }
        if (lane == 0) result.sum = sum, result.max = max;
    }
    __syncthreads();

    if (warp != part.part % warps) return;
    // Read again: no logit has to stay in a register until here.
    const int first = mine.column(4 * (part.part / warps));
    float again[4] = {0, 0, 0, 0};
    if (first < columns) load4(row, first, columns, whole, again);
    double four[4], own = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        four[i] = first + i < columns
                      ? static_cast<double>(weight_of(again[i], max, draw.inverse_temperature))
                      : 0;
        own += four[i];
    }
    const Picked lanes = pick_lane(own, part.rest);
    if (lane == lanes.part) result.token = first_id + first + pick_of_four(four, lanes.rest).part;
}

}  // namespace

void draw_slab(const float* logits, std::int64_t stride, std::int64_t columns,
               std::int32_t first_id, const LogitDraw* draws, std::int64_t count, BlockDraw* out,
               std::int64_t out_stride, cudaStream_t stream) {
    if (count == 0) return;
    const bool whole = by_fours(logits, columns, stride, sizeof(float));
    launch("draw_slab", draw_slab_kernel, dim3(blocks_for(count, 1)), slab_threads(columns), 0,
           stream, logits, stride, static_cast<int>(columns), first_id, whole, draws, out,
           out_stride);
}

}  // namespace muster::cuda
