#pragma once
// What all attention kernels share: which vectors and keys a block works on, how pages come into
// shared memory, and how the runs of a row are merged.
//
// The query heads that share a kv head make a series of vectors, row after row and head after head;
// a tile is some neighbours of one sequence. Nothing that a vector's result goes through depends on
// its tile: a page, or a run, of which it sees no key leaves its maximum, sum and values as they
// were to the last bit (factor 2^0, weights 0), so it does not matter who walks over how many.

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/attention_plan.h"
#include "cuda/ptx.cuh"

namespace muster::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffu;
/// Stands for the maximum where no key was seen, so that −infinity is not subtracted from itself.
inline constexpr float kLowest = -3e38f;

struct KeyRange {
    std::int32_t begin, end;
    __device__ bool has(int key) const { return key >= begin && key < end; }
};

/// Some vectors of one sequence and kv head.
struct AttentionTile {
    DeviceSequence sequence;
    std::int32_t group;
    std::uint32_t inverse_group;
    std::int32_t kv_head, window;
    bool bidirectional;
    std::int32_t first_vector, num_vectors;  ///< in the tile; vectors of the sequence
    KeyRange seen, seen_by_all;              ///< keys that some, and that all of them see
    std::int32_t page_begin, page_end;       ///< of the block's work

    /// vector / group: exact, since vector · group stays below 2^32.
    __device__ int token(int vector) const {
        const auto product = std::uint64_t{inverse_group} * static_cast<unsigned>(vector);
        return inverse_group == 0 ? vector : static_cast<int>(product >> 32);
    }
    /// Keys that a vector of the sequence sees.
    __device__ KeyRange keys(int vector) const {
        const int position = sequence.first_position + token(vector);
        const int last = sequence.first_position + sequence.num_rows - 1;
        return {window > 0 ? max(0, position - window + 1) : 0,
                (bidirectional ? last : position) + 1};
    }
    /// Where the vector's head is among rows of `heads` heads, in heads.
    __device__ std::int64_t head_index(int vector, int heads) const {
        const int in_sequence = token(vector);
        const std::int64_t row = sequence.first_row + in_sequence;
        return row * heads + kv_head * group + vector - in_sequence * group;
    }
    /// The vector itself, [head_dim].
    __device__ const float* query(const AttentionCall& call, int vector) const {
        const int in_sequence = token(vector);
        return call.q + std::int64_t{sequence.first_row + in_sequence} * call.q_stride +
               (kv_head * group + vector - in_sequence * group) * call.head_dim;
    }
    /// Whether some vectors see a key of the page that others do not.
    __device__ bool mixed(int page) const {
        const int begin = max(page * kPageKeys, seen.begin);
        const int end = min(page * kPageKeys + kPageKeys, seen.end);
        return begin < seen_by_all.begin || end > seen_by_all.end;
    }
};

/// The first tile number of sequence s. Rounding down and adding s leaves every sequence as many
/// numbers as it has tiles, or some more, whatever the others have.
template <int kRows>
__device__ __forceinline__ int first_tile(const AttentionLaunch& launch, int s) {
    return static_cast<int>(std::int64_t{launch.call.sequences[s].first_row} * launch.group /
                            kRows) +
           s;
}

/// The last sequence whose first tile is not behind `index`; the warp looks at 32 at once.
template <int kRows>
__device__ __forceinline__ int sequence_of_tile(const AttentionLaunch& launch, int index) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    int begin = 0, size = launch.call.num_sequences;
    while (size > 1) {
        const int step = (size + 31) / 32, probe = begin + lane * step;
        const bool reached = probe < begin + size && first_tile<kRows>(launch, probe) <= index;
        const int skipped = max(__popc(__ballot_sync(kAllLanes, reached)) - 1, 0) * step;
        begin += skipped;
        size = min(step, size - skipped);
    }
    return begin;
}

/// Finds the work of this block and puts it into `shared`, where it takes no registers; false if
/// there is none. All threads of the block call this and get the same answer.
template <int kRows>
__device__ __forceinline__ bool find_tile(const AttentionLaunch& launch, AttentionTile& shared) {
    const AttentionCall& call = launch.call;
    // Late rows see the most keys, so they begin first.
    const int index = launch.tiles - 1 - static_cast<int>(blockIdx.x);
    int s = index, part = 0;
    if (!launch.one_tile) {
        s = sequence_of_tile<kRows>(launch, index);
        part = index - first_tile<kRows>(launch, s);
    }
    AttentionTile tile{};
    tile.sequence = call.sequences[s];
    tile.group = launch.group;
    tile.inverse_group = launch.inverse_group;
    tile.kv_head = static_cast<std::int32_t>(blockIdx.y);
    tile.window = call.window;
    tile.bidirectional = call.bidirectional;
    tile.first_vector = part * kRows;
    tile.num_vectors = min(kRows, tile.sequence.num_rows * tile.group - tile.first_vector);
    if (part < 0 || tile.num_vectors <= 0) return false;
    const KeyRange first = tile.keys(tile.first_vector);
    const KeyRange last = tile.keys(tile.first_vector + tile.num_vectors - 1);
    tile.seen = {first.begin, last.end};
    tile.seen_by_all = {last.begin, first.end};
    tile.page_begin = tile.seen.begin / kPageKeys;
    tile.page_end = (tile.seen.end + kPageKeys - 1) / kPageKeys;
    if (launch.split) {
        const int run = static_cast<int>(blockIdx.z);
        tile.page_begin = max(tile.page_begin, run * kSplitPages);
        tile.page_end = min(tile.page_end, (run + 1) * kSplitPages);
    }
    if (threadIdx.x == 0) shared = tile;
    __syncthreads();
    return tile.page_begin < tile.page_end;
}

/// A page of keys or values in shared memory: kPageKeys rows of kBytes, filled up with zeros to
/// kPadded, an odd number of 16-byte units apart, so that eight rows lie in different banks.
template <int kBytes, int kPadded, int kThreads>
struct PageCopy {
    static constexpr int kUnits = kPadded / 16;
    static constexpr int kStride = (kUnits | 1) * 16;
    static constexpr int kTotal = kPageKeys * kStride;

    /// Calls f(first row, rows further, unit) for this thread's share of the page. Where the
    /// threads cover whole rows, its units lie below each other and the second number is known at
    /// compile time: with few vectors what a warp spends on addresses is the larger part of all.
    template <typename F>
    static __device__ __forceinline__ void for_my_units(const F& f) {
        if constexpr (kThreads % kUnits == 0) {
            constexpr int kRowsAtOnce = kThreads / kUnits;
            static_assert(kPageKeys % kRowsAtOnce == 0);
            const int first = static_cast<int>(threadIdx.x) / kUnits,
                      unit = static_cast<int>(threadIdx.x) % kUnits;
#pragma unroll
            for (int further = 0; further < kPageKeys; further += kRowsAtOnce)
                f(first, further, unit);
        } else {
#pragma unroll 8
            for (int i = static_cast<int>(threadIdx.x); i < kPageKeys * kUnits; i += kThreads)
                f(i / kUnits, 0, i % kUnits);
        }
    }
    /// Starts the copy. Keys that no vector of the tile sees become zeros, whatever the cache holds
    /// there.
    static __device__ __forceinline__ void start(const AttentionLaunch& launch,
                                                 const AttentionTile& tile, const void* cache,
                                                 int page, unsigned char* to) {
        const AttentionCall& call = launch.call;
        const std::int64_t id = __ldg(call.pages + tile.sequence.first_page + page);
        const auto* from = static_cast<const unsigned char*>(cache) +
                           (id * call.kv_heads + tile.kv_head) * (kPageKeys * kBytes);
        const int begin = tile.seen.begin - page * kPageKeys,
                  end = tile.seen.end - page * kPageKeys;
        const auto copy = [&](int first, int further, int unit, bool read) {
            const bool inside = kBytes == kPadded || unit * 16 < kBytes;
            copy_async_16(to + first * kStride + unit * 16 + further * kStride,
                          from + first * kBytes + (inside ? unit * 16 : 0) + further * kBytes,
                          inside && read ? 16 : 0);
        };
        if (begin <= 0 && end >= kPageKeys)
            for_my_units(
                [&](int first, int further, int unit) { copy(first, further, unit, true); });
        else
            for_my_units([&](int first, int further, int unit) {
                copy(first, further, unit, further >= begin - first && further < end - first);
            });
    }
};

/// Shared memory for pages on their way: keys and values of the tile's pages by turns, each in the
/// slot after the last one's. Every step takes one of them and starts the one kSlots − 1 later.
template <typename Copy, int kSlots>
struct PageRing {
    const AttentionLaunch& launch;
    const AttentionTile& tile;
    unsigned char* slots;  ///< [kSlots, Copy::kTotal]
    int started = 0;

    __device__ __forceinline__ void start_next() {
        const int page = tile.page_begin + started / 2;
        if (page < tile.page_end)
            Copy::start(launch, tile, started % 2 == 0 ? launch.call.keys : launch.call.values,
                        page, slots + started % kSlots * Copy::kTotal);
        copy_async_commit();
        ++started;
    }
    __device__ __forceinline__ void start_first() {
        for (int i = 0; i < kSlots - 1; ++i) start_next();
    }
    /// The page to take now. This thread's share of it has arrived after wait(); that of the others
    /// after a barrier, by which all have also left the page before, so that the next may start.
    __device__ __forceinline__ unsigned char* current() const {
        return slots + (started - (kSlots - 1)) % kSlots * Copy::kTotal;
    }
    __device__ __forceinline__ void wait() const { copy_async_wait<kSlots - 2>(); }
};

/// tanh(score · scale) as 1 − 2 / (e^2x + 1): off by 3e-7 at most, and a cap's scores are compared
/// with each other.
__device__ __forceinline__ float capped(float score, float scale) {
    const float e = exp2_approx(__fmul_rn(score, __fmul_rn(scale, 2.885390082f)));  // 2 log2 e
    return 1.0f - __fdividef(2.0f, e + 1.0f);
}

// --- merging
// --------------------------------------------------------------------------------------

/// Factors of what was summed under two maxima, and the common maximum.
struct Merge {
    float max, first, second;
};
__device__ __forceinline__ Merge merge_of(float first_max, float second_max) {
    const float largest = fmaxf(first_max, second_max), base = fmaxf(largest, kLowest);
    return {largest, exp2_approx(first_max - base), exp2_approx(second_max - base)};
}
__device__ __forceinline__ float merged(const Merge& m, float first, float second) {
    return fmaf(second, m.second, __fmul_rn(first, m.first));
}
/// A row's values over its sum; adding zero takes the sign from zeros, since a page that is not
/// seen may change it.
__device__ __forceinline__ float finished(float value, float inverse) {
    return fmaf(value, inverse, 0.0f);
}

/// Partial result of a head of a row for one run: values [head_dim], maximum, sum.
__device__ __forceinline__ float* partial_of(const AttentionLaunch& launch, int run,
                                             std::int64_t head_index) {
    const AttentionCall& call = launch.call;
    return static_cast<float*>(call.scratch) +
           (std::int64_t{run} * call.rows * call.heads + head_index) *
               (call.head_dim + kPartialTail);
}

}  // namespace muster::cuda
