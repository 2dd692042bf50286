#pragma once
// The kernel of TileProduct. Tiles of weights × positions are computed by steps along k, whose
// inputs pass through a ring of stages in shared memory: while one is multiplied, the next ones are
// on their way, also those of the block's next tile.
//
// The weights are the left operand of the matrix instruction in every shape of tile, and each sum
// has one accumulator that takes k in ascending steps of 16 (f32: of 1, by fused multiply-add). So
// a row has the same bits in every tile, whatever its shape and whoever else is in it.
//
// Rows of a stage are kDepthBytes long; 16-byte chunk c of row r lies at chunk c xor (r mod 8), so
// that eight rows' chunks are in different banks.

#include "cuda/elements.cuh"
#include "cuda/ptx.cuh"
#include "cuda/reduce.cuh"
#include "cuda/tile_product.h"

namespace muster::cuda {

/// kWarpsW × kWarpsT warps multiply a tile; they and kHelpers more start its copies.
template <int kWeights_, int kTokens_, int kDepthBytes_, int kStages_, int kWarpsW_, int kWarpsT_,
          int kHelpers_, int kBlocks_>
struct TileShape {
    static constexpr int kWeights = kWeights_, kTokens = kTokens_, kDepthBytes = kDepthBytes_,
                         kStages = kStages_, kWarpsW = kWarpsW_, kWarpsT = kWarpsT_,
                         kBlocks = kBlocks_;  ///< that share a multiprocessor
    static constexpr int kMultipliers = 32 * kWarpsW * kWarpsT,
                         kThreads = kMultipliers + 32 * kHelpers_, kChunks = kDepthBytes / 16,
                         kStageBytes = (kWeights + kTokens) * kDepthBytes,
                         kSharedBytes = kStages * kStageBytes;
    static_assert(kChunks % 8 == 0 && kThreads % kChunks == 0 && kStages >= 2);
};

template <typename Shape>
__device__ __forceinline__ int swizzled(int row, int chunk) {
    return row * Shape::kDepthBytes + (chunk ^ (row & 7)) * 16;
}

struct Tile {
    int expert = 0, shard = 0;
    std::int64_t column = 0;  ///< the first of its outputs
    int position = 0, tokens = 0;
};

/// Where the experts' positions and tiles begin, in the block's shared memory.
template <int kCount>
struct TileTable {
    std::int32_t position[kCount + 1], tile[kCount + 1];
};

/// Neighbouring tiles differ in their positions first: they share weights.
template <typename Shape, int kCount>
__device__ __forceinline__ Tile find_tile(const TileTable<kCount>& table, int experts,
                                          int columns_tiles, int columns, int tile) {
    int low = 0;  // the last expert whose tiles begin at or before `tile`: it has some
    for (int high = experts; high - low > 1;) {
        const int middle = (low + high) / 2;
        if (table.tile[middle] <= tile)
            low = middle;
        else
            high = middle;
    }
    const int begin = table.position[low], count = table.position[low + 1] - begin;
    const int runs = (count + Shape::kTokens - 1) / Shape::kTokens;
    const int at = tile - table.tile[low], run = at % runs, rest = at / runs;
    Tile found;
    found.expert = low;
    found.shard = rest / columns_tiles;
    found.column = static_cast<std::int64_t>(rest % columns_tiles) * columns;
    found.position = begin + run * Shape::kTokens;
    found.tokens = min(Shape::kTokens, count - run * Shape::kTokens);
    return found;
}

/// All threads of the block call this.
template <typename Shape, int kCount>
__device__ __forceinline__ void fill_table(const TileProduct& p, int columns_tiles,
                                           TileTable<kCount>& table) {
    for (int i = static_cast<int>(threadIdx.x); i <= p.experts; i += Shape::kThreads)
        table.position[i] =
            p.offsets != nullptr ? p.offsets[i] : static_cast<std::int32_t>(i * p.positions);
    __syncthreads();
    if (threadIdx.x < 32) {
        const int lane = static_cast<int>(threadIdx.x);
        int before = 0;
        for (int first = 0; first < p.experts; first += 32) {
            const int expert = first + lane;
            int mine = 0;
            if (expert < p.experts) {
                const int count = table.position[expert + 1] - table.position[expert];
                mine = (count + Shape::kTokens - 1) / Shape::kTokens * columns_tiles * p.shards;
            }
            int sum = mine;
            for (int distance = 1; distance < 32; distance *= 2) {
                const int lower = __shfl_up_sync(kAllLanes, sum, distance);
                if (lane >= distance) sum += lower;
            }
            if (expert < p.experts) table.tile[expert] = before + sum - mine;
            before += __shfl_sync(kAllLanes, sum, 31);
        }
        if (lane == 0) table.tile[p.experts] = before;
    }
    __syncthreads();
}

/// Starts the copies of one step after the other into stages, of all tiles of this block. With
/// kAsync, rows of x and of weights begin at multiples of 16 bytes and k is a multiple of as much;
/// without it anything goes, and the stages become the same.
template <typename T, typename Shape, bool kGated, bool kAsync, int kCount>
class TileLoader {
 public:
    __device__ TileLoader(const TileProduct& p, const ExpertWeights<kCount>& weights,
                          const TileTable<kCount>& table, int columns_tiles, int steps)
        : p_(p),
          weights_(weights),
          table_(table),
          columns_tiles_(columns_tiles),
          steps_(steps),
          tile_(static_cast<int>(blockIdx.x)) {}

    __device__ __forceinline__ void next(unsigned char* stage) {
        if (tile_ >= table_.tile[p_.experts]) return;
        if (step_ == 0) begin_tile();
        const std::int64_t k = static_cast<std::int64_t>(step_) * kDepth + chunk() * kPerChunk;
        const std::int64_t left = p_.k - k;
        const int there = left <= 0 ? 0 : left < kPerChunk ? static_cast<int>(left) : kPerChunk;
#pragma unroll
        for (int pass = 0; pass < kWeightPasses; ++pass) {
            const int block = block_of(pass), inner = inner_of(pass);
            const int column = kGated ? block / 2 * 16 + inner : block * 16 + inner;
            std::int64_t row = column;
            if (kGated && block % 2 == 1) row += p_.n;
            load(stage + swizzled<Shape>(block * 16 + inner, chunk()), w_ + row * p_.w_stride + k,
                 column < columns_left_ ? there : 0);
        }
        stage += Shape::kWeights * Shape::kDepthBytes;
#pragma unroll
        for (int pass = 0; pass < kTokenPasses; ++pass) {
            const int row = first_row() + pass * kRowsAtOnce;
            if (Shape::kTokens % kRowsAtOnce != 0 && row >= Shape::kTokens) break;
            const std::int32_t from = x_rows_[pass];
            load(stage + swizzled<Shape>(row, chunk()),
                 x_ + (from < 0 ? 0 : from) * p_.x_stride + k, from < 0 ? 0 : there);
        }
        if (++step_ == steps_) {
            step_ = 0;
            tile_ += static_cast<int>(gridDim.x);
        }
    }

 private:
    static constexpr int kPerChunk = 16 / static_cast<int>(sizeof(T)),
                         kDepth = Shape::kChunks * kPerChunk,
                         kRowsAtOnce = Shape::kThreads / Shape::kChunks,
                         kWeightPasses = Shape::kWeights / kRowsAtOnce,
                         kTokenPasses = (Shape::kTokens + kRowsAtOnce - 1) / kRowsAtOnce;
    static_assert(Shape::kWeights % kRowsAtOnce == 0 && Shape::kWeights % (kGated ? 32 : 16) == 0);
    static_assert(16 % kRowsAtOnce == 0 || kRowsAtOnce % 16 == 0);

    __device__ static int chunk() {
        return static_cast<int>(threadIdx.x) % Shape::kChunks;
    }
    __device__ static int first_row() {
        return static_cast<int>(threadIdx.x) / Shape::kChunks;
    }
    // Rows of weights come by blocks of 16; of gated ones, even blocks are gate and odd ones up.
    __device__ static int block_of(int pass) {
        const int known = pass * kRowsAtOnce / 16;
        return kRowsAtOnce > 16 ? known + first_row() / 16 : known;
    }
    __device__ static int inner_of(int pass) {
        const int known = pass * kRowsAtOnce % 16;
        return kRowsAtOnce > 16 ? first_row() % 16 : known + first_row();
    }

    __device__ __forceinline__ void begin_tile() {
        constexpr int kColumns = kGated ? Shape::kWeights / 2 : Shape::kWeights;
        const Tile tile = find_tile<Shape>(table_, p_.experts, columns_tiles_, kColumns, tile_);
        const std::int64_t shard = tile.shard * p_.k;
        w_ = static_cast<const T*>(weights_.at[tile.expert]) + tile.column * p_.w_stride + shard;
        x_ = static_cast<const T*>(p_.x) + shard;
        const std::int64_t left = p_.n - tile.column;
        columns_left_ = left < kColumns ? static_cast<int>(left) : kColumns;
#pragma unroll
        for (int pass = 0; pass < kTokenPasses; ++pass) {
            const int row = first_row() + pass * kRowsAtOnce;
            std::int32_t from = -1;
            if (row < tile.tokens) {
                from = tile.position + row;
                if (p_.rows_of != nullptr) from = p_.rows_of[from];
            }
            x_rows_[pass] = from;
        }
    }

    /// 16 bytes of shared memory ← `count` elements, then zeros.
    __device__ static __forceinline__ void load(unsigned char* to, const T* from, int count) {
        if constexpr (kAsync) {  // whole chunks or none: a size of two values is a predicate
            copy_async_16(to, from, count > 0 ? 16 : 0);
        } else {
            struct alignas(16) Chunk {
                T v[kPerChunk];
            } chunk;
#pragma unroll
            for (int i = 0; i < kPerChunk; ++i)
                chunk.v[i] = i < count ? from[i] : from_f32<T>(0.0f);
            *reinterpret_cast<Chunk*>(to) = chunk;
        }
    }

    const TileProduct& p_;
    const ExpertWeights<kCount>& weights_;
    const TileTable<kCount>& table_;
    const int columns_tiles_, steps_;
    int tile_, step_ = 0;  ///< that next() loads
    const T *w_ = nullptr, *x_ = nullptr;
    int columns_left_ = 0;
    std::int32_t x_rows_[kTokenPasses] = {};  ///< −1: none
};

/// A warp's sums by matrix instructions: its blocks of 16 weights × 8 positions.
template <typename T, typename Shape>
class TileSums {
 public:
    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
            for (int t = 0; t < kT; ++t)
#pragma unroll
                for (int i = 0; i < 4; ++i) sums_[m][t][i] = 0;
    }

    __device__ __forceinline__ void add(const unsigned char* stage) {
        const int lane = static_cast<int>(threadIdx.x) % 32;
        const unsigned char* const w = stage + (first_weight() + lane % 16) * Shape::kDepthBytes;
        const unsigned char* const x =
            stage + (Shape::kWeights + first_token() + lane % 8) * Shape::kDepthBytes;
        const int mix = lane & 7;  // row mod 8 of what this lane points to
#pragma unroll
        for (int k = 0; k < Shape::kChunks / 2; k += 2) {  // two steps of 16, two chunks each
            std::uint32_t b[2][kT][2];
            if constexpr (kT == 1) {
                std::uint32_t r[4];
                ldmatrix_x4(r, x + ((2 * k + lane / 8) ^ mix) * 16);
                b[0][0][0] = r[0], b[0][0][1] = r[1], b[1][0][0] = r[2], b[1][0][1] = r[3];
            }
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const int chunk = 2 * (k + half);
                std::uint32_t a[kM][4];
#pragma unroll
                for (int m = 0; m < kM; ++m)
                    ldmatrix_x4(a[m],
                                w + m * 16 * Shape::kDepthBytes + ((chunk + lane / 16) ^ mix) * 16);
                if constexpr (kT > 1) {
#pragma unroll
                    for (int t = 0; t < kT; t += 2) {
                        std::uint32_t r[4];
                        ldmatrix_x4(r, x + (t + lane / 16) * 8 * Shape::kDepthBytes +
                                           ((chunk + lane / 8 % 2) ^ mix) * 16);
                        b[half][t][0] = r[0], b[half][t][1] = r[1];
                        b[half][t + 1][0] = r[2], b[half][t + 1][1] = r[3];
                    }
                }
#pragma unroll
                for (int m = 0; m < kM; ++m)
#pragma unroll
                    for (int t = 0; t < kT; ++t) mma_m16n8k16<T>(sums_[m][t], a[m], b[half][t]);
            }
        }
    }

    /// Calls write(row of the tile's weights, its position, sum) for every sum of this thread.
    template <typename Write>
    __device__ __forceinline__ void each(const Write& write) const {
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
            for (int t = 0; t < kT; ++t)
#pragma unroll
                for (int i = 0; i < 4; ++i) write(weight(m, i), token(t, i), sums_[m][t][i]);
    }
    /// Calls write(column of the tile, its position, gate, up).
    template <typename Write>
    __device__ __forceinline__ void each_pair(const Write& write) const {
        static_assert(kM % 2 == 0);
#pragma unroll
        for (int m = 0; m < kM; m += 2)
#pragma unroll
            for (int t = 0; t < kT; ++t)
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const int row = weight(m, i);
                    write(row / 32 * 16 + row % 16, token(t, i), sums_[m][t][i],
                          sums_[m + 1][t][i]);
                }
    }

 private:
    static constexpr int kM = Shape::kWeights / Shape::kWarpsW / 16,
                         kT = Shape::kTokens / Shape::kWarpsT / 8;
    static_assert(kM >= 1 && (kT == 1 || kT % 2 == 0) && Shape::kChunks % 4 == 0);
    __device__ static int warp() {
        return static_cast<int>(threadIdx.x) / 32;
    }
    __device__ static int first_weight() {
        return warp() % Shape::kWarpsW * kM * 16;
    }
    __device__ static int first_token() {
        return warp() / Shape::kWarpsW * kT * 8;
    }
    __device__ static int weight(int m, int i) {
        return first_weight() + m * 16 + i / 2 * 8 + static_cast<int>(threadIdx.x) % 32 / 4;
    }
    __device__ static int token(int t, int i) {
        return first_token() + t * 8 + static_cast<int>(threadIdx.x) % 4 * 2 + i % 2;
    }

    float sums_[kM][kT][4];
};

/// The same in f32 by fused multiply-add: a thread has every 16th weight.
template <typename Shape>
class TileSums<float, Shape> {
 public:
    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
            for (int t = 0; t < kT; ++t) sums_[m][t] = 0;
    }
    __device__ __forceinline__ void add(const unsigned char* stage) {
        const unsigned char* const x = stage + Shape::kWeights * Shape::kDepthBytes;
#pragma unroll
        for (int chunk = 0; chunk < Shape::kChunks; ++chunk) {
            Four<float> w[kM];
#pragma unroll
            for (int m = 0; m < kM; ++m)
                w[m] = *reinterpret_cast<const Four<float>*>(
                    stage + swizzled<Shape>(weight() + m * 16, chunk));
#pragma unroll
            for (int t = 0; t < kT; ++t) {
                const Four<float> v = *reinterpret_cast<const Four<float>*>(
                    x + swizzled<Shape>(token() + t * kTokensAtOnce, chunk));
#pragma unroll
                for (int i = 0; i < 4; ++i)
#pragma unroll
                    for (int m = 0; m < kM; ++m)
                        sums_[m][t] = __fmaf_rn(v.v[i], w[m].v[i], sums_[m][t]);
            }
        }
    }
    template <typename Write>
    __device__ __forceinline__ void each(const Write& write) const {
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
            for (int t = 0; t < kT; ++t)
                write(weight() + m * 16, token() + t * kTokensAtOnce, sums_[m][t]);
    }
    template <typename Write>
    __device__ __forceinline__ void each_pair(const Write& write) const {
        static_assert(kM % 2 == 0);
#pragma unroll
        for (int m = 0; m < kM; m += 2)
#pragma unroll
            for (int t = 0; t < kT; ++t)
                write(m / 2 * 16 + weight(), token() + t * kTokensAtOnce, sums_[m][t],
                      sums_[m + 1][t]);
    }

 private:
    static constexpr int kTokensAtOnce = Shape::kMultipliers / 16, kM = Shape::kWeights / 16,
                         kT = Shape::kTokens / kTokensAtOnce;
    static_assert(kT >= 1);
    __device__ static int weight() {
        return static_cast<int>(threadIdx.x) % 16;
    }
    __device__ static int token() {
        return static_cast<int>(threadIdx.x) / 16;
    }

    float sums_[kM][kT];
};

template <typename T, typename Shape, bool kGated, bool kAsync, int kCount>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    tile_product_kernel(const __grid_constant__ TileProduct p,
                        const __grid_constant__ ExpertWeights<kCount> weights) {
    __shared__ TileTable<kCount> table;
    constexpr int kColumns = kGated ? Shape::kWeights / 2 : Shape::kWeights;
    constexpr int kDepth = Shape::kDepthBytes / static_cast<int>(sizeof(T));
    const auto columns_tiles = static_cast<int>((p.n + kColumns - 1) / kColumns);
    const auto steps = static_cast<int>((p.k + kDepth - 1) / kDepth);
    fill_table<Shape>(p, columns_tiles, table);

    unsigned char* const stages = dynamic_shared<unsigned char>();
    TileLoader<T, Shape, kGated, kAsync, kCount> loader(p, weights, table, columns_tiles, steps);
    TileSums<T, Shape> sums;
    for (int s = 0; s < Shape::kStages - 1; ++s) {
        loader.next(stages + s * Shape::kStageBytes);
        copy_async_commit();
    }
    const bool multiplies =
        Shape::kThreads == Shape::kMultipliers || threadIdx.x < Shape::kMultipliers;
    int stage = 0;
    const int tiles = table.tile[p.experts];
    for (int at = static_cast<int>(blockIdx.x); at < tiles; at += static_cast<int>(gridDim.x)) {
        sums.clear();
        for (int step = 0; step < steps; ++step) {
            copy_async_wait<Shape::kStages - 2>();
            __syncthreads();  // the stage is there for all, and the last one was read by all
            const int free = stage == 0 ? Shape::kStages - 1 : stage - 1;
            loader.next(stages + free * Shape::kStageBytes);
            copy_async_commit();
            if (multiplies) sums.add(stages + stage * Shape::kStageBytes);
            stage = stage + 1 == Shape::kStages ? 0 : stage + 1;
        }
        if (!multiplies) continue;
        const Tile tile = find_tile<Shape>(table, p.experts, columns_tiles, kColumns, at);
        const std::int64_t base = tile.position * p.out_stride + tile.column;
        const std::int64_t left = p.n - tile.column;
        if constexpr (kGated) {
            T* const out = static_cast<T*>(p.out) + base;
            sums.each_pair([&](int column, int token, float gate, float up) {
                if (column < left && token < tile.tokens)
                    out[token * p.out_stride + column] = from_f32<T>(silu(gate) * up);
            });
        } else {
            float* const out = static_cast<float*>(p.out) + tile.shard * p.out_shard + base;
            sums.each([&](int column, int token, float sum) {
                if (column >= left || token >= tile.tokens) return;
                float* const to = out + token * p.out_stride + column;
                *to = p.accumulate ? *to + sum : sum;
            });
        }
    }
}

}  // namespace muster::cuda
