// A block holds a slab of one row in its registers. It takes the maxima of groups of eight columns
// and finds a bar that `count` of them reach, and few more: at least `count` columns reach it, and
// at most eight in each of these groups, however the logits are distributed. These columns and the
// list so far are sorted. A logit and its column are one number and no two are equal, so the result
// does not depend on who put what where.

#include "cuda/best_logits.h"

#include "cuda/elements.cuh"
#include "cuda/launch.cuh"
#include "cuda/order.cuh"
#include "cuda/reduce.cuh"
#include "cuda/slab_columns.cuh"

namespace muster::cuda {

namespace {

constexpr int kThreads = kSlabThreads, kWarps = kThreads / 32;
constexpr int kColumns = SlabColumns::kCount;
constexpr int kGroup = 8, kGroups = kColumns / kGroup;
constexpr int kSpare = 64;  // groups above the bar beyond `count`
// What can reach the bar, with the list so far.
constexpr int kMost = (kMaxTopLogits + kSpare) * kGroup + kMaxTopLogits, kSorted = 4096;
static_assert(kThreads * kColumns == kBestColumns && kMost <= kSorted);

/// Σ of n over the block's threads, in all of them. `slots`: other ones than in the call before.
__device__ __forceinline__ int count_block(const bool (&counted)[kGroups], int* slots) {
    int sum = 0;
#pragma unroll
    for (int group = 0; group < kGroups; ++group)
        sum += __popc(__ballot_sync(kAllLanes, counted[group]));
    const unsigned warps = blockDim.x / 32;
    if (threadIdx.x % 32 == 0) slots[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0;
    for (unsigned warp = 0; warp < warps; ++warp) sum += slots[warp];
    return sum;
}

/// A rank that at least min(count, groups above `low`) and at most count + kSpare group maxima
/// reach, larger than `low`; `best` is the largest of all.
__device__ __forceinline__ Rank find_bar(const Rank (&maxima)[kGroups], Rank low, Rank best,
                                         int count, int (&slots)[2][kWarps]) {
    Rank high = best + 1, bar = low + 1;  // no group reaches `high`, too many reach `low`
    for (int round = 0;; ++round) {
        bool reached[kGroups];
#pragma unroll
        for (int group = 0; group < kGroups; ++group) reached[group] = maxima[group] >= bar;
        const int groups = count_block(reached, slots[round % 2]);
        if (groups <= count + kSpare && (groups >= count || round == 0)) return bar;
        if (groups < count)
            high = bar;
        else
            low = bar;
        bar = low + (high - low) / 2;
    }
}

/// Sorts ranks [0, size), a power of two, descending: Batcher's bitonic network.
__device__ __forceinline__ void sort_ranks(Rank* ranks, unsigned size) {
    for (unsigned run = 2; run <= size; run *= 2) {
        for (unsigned step = run / 2; step > 0; step /= 2) {
            for (unsigned pair = threadIdx.x; pair < size / 2; pair += blockDim.x) {
                const unsigned low = 2 * pair - pair % step, high = low + step;
                const Rank a = ranks[low], b = ranks[high];
                if ((a < b) == ((low & run) == 0)) {
                    ranks[low] = b;
                    ranks[high] = a;
                }
            }
            __syncthreads();
        }
    }
}

/// Σ exp((logit − max) · inverse temperature) over a thread's columns.
__device__ __forceinline__ double sum_of(const SlabColumns& mine, float max, float inverse) {
    double sum = 0;
#pragma unroll
    for (int i = 0; i < kColumns; ++i) sum += static_cast<double>(mine.weight(i, max, inverse));
    return sum;
}

__device__ __forceinline__ void append_sum(ScaledSum& total, double sum, float max, float inverse) {
    const float larger = max > total.max ? max : total.max;
    const auto factor = [&](float of) {
        return of == larger ? 1.0
                            : exp((static_cast<double>(of) - static_cast<double>(larger)) *
                                  static_cast<double>(inverse));
    };
    total.sum = total.sum * factor(total.max) + sum * factor(max);
    total.max = larger;
}

__global__ void __launch_bounds__(kThreads, 2)
    append_best_kernel(const float* logits, std::int64_t stride, int columns, std::int32_t first_id,
                       bool fresh_best, bool fresh_sums, bool whole, int count,
                       const float* inverse_temperatures, TopLogit* best, ScaledSum* sums) {
    __shared__ Rank ranks[kSorted];
    __shared__ Rank rank_slots[32];
    __shared__ double sum_slots[32];
    __shared__ int count_slots[2][kWarps];
    __shared__ int filled;
    const std::int64_t row = blockIdx.x;
    TopLogit* list = best + row * count;
    if (threadIdx.x == 0) filled = 0;

    SlabColumns mine;
    mine.columns = columns;
    mine.first_id = first_id;
    mine.load(logits + row * stride, whole);
    Rank maxima[kGroups], largest = kNoRank;
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
        maxima[group] = kNoRank;
#pragma unroll
        for (int i = 0; i < kGroup; ++i) {
            const Rank rank = mine.rank(group * kGroup + i);
            maxima[group] = rank > maxima[group] ? rank : maxima[group];
        }
        largest = maxima[group] > largest ? maxima[group] : largest;
    }
    largest =
        reduce_block(largest, kNoRank, rank_slots, [](Rank a, Rank b) { return a > b ? a : b; });

    const float inverse = inverse_temperatures[row];
    const float max = columns > 0 ? logit_of(largest) : -infinity();
    const double sum = reduce_block(sum_of(mine, max, inverse), 0.0, sum_slots,
                                    [](double a, double b) { return a + b; });
    if (threadIdx.x == 0) {
        if (fresh_sums)
            sums[row] = {sum, max};
        else
            append_sum(sums[row], sum, max, inverse);
    }

    // What is not better than the list's last one stays outside.
    Rank last = kNoRank;
    if (!fresh_best && list[count - 1].token >= 0)
        last = rank_of(list[count - 1].logit, list[count - 1].token);
    __syncthreads();  // `filled` is set; nobody reads the list any more that is about to be written
    const bool better = largest > last;
    if (!better && !fresh_best) return;
    if (better) {
        const Rank bar = find_bar(maxima, last, largest, count, count_slots);
#pragma unroll
        for (int i = 0; i < kColumns; ++i) {
            if (maxima[i / kGroup] < bar) continue;
            const Rank rank = mine.rank(i);
            if (rank >= bar) ranks[atomicAdd(&filled, 1)] = rank;
        }
    }
    __syncthreads();
    unsigned used = static_cast<unsigned>(filled);
    if (!fresh_best) {
        for (unsigned i = threadIdx.x; i < static_cast<unsigned>(count); i += blockDim.x)
            ranks[used + i] = list[i].token < 0 ? kNoRank : rank_of(list[i].logit, list[i].token);
        used += static_cast<unsigned>(count);
    }
    unsigned size = 32;
    while (size < used) size *= 2;
    for (unsigned i = used + threadIdx.x; i < size; i += blockDim.x) ranks[i] = kNoRank;
    __syncthreads();
    sort_ranks(ranks, size);
    for (unsigned i = threadIdx.x; i < static_cast<unsigned>(count); i += blockDim.x) {
        const Rank rank = i < used ? ranks[i] : kNoRank;
        list[i] =
            rank == kNoRank ? TopLogit{-infinity(), -1} : TopLogit{logit_of(rank), column_of(rank)};
    }
}

}  // namespace

void append_best(const float* logits, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                 std::int32_t first_id, bool fresh_best, bool fresh_sums, int count,
                 const float* inverse_temperatures, TopLogit* best, ScaledSum* sums,
                 cudaStream_t stream) {
    if (rows == 0) return;
    const bool whole = by_fours(logits, columns, stride, sizeof(float));
    launch("append_best", append_best_kernel, dim3(blocks_for(rows, 1)), slab_threads(columns), 0,
           stream, logits, stride, static_cast<int>(columns), first_id, fresh_best, fresh_sums,
           whole, count, inverse_temperatures, best, sums);
}

}  // namespace muster::cuda
