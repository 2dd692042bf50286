#pragma once
// How much device memory operations take, for the backend that takes it and for plans made without
// a device. Nothing here needs CUDA.

#include <algorithm>
#include <cstdint>

#include "muster/backend/cuda.h"

namespace muster::cuda {

/// What the arena hands out are multiples of this, and aligned to it.
inline constexpr std::uint64_t kBlockBytes = 256;
constexpr std::uint64_t block_bytes(std::uint64_t bytes) {
    return (std::max<std::uint64_t>(bytes, 1) + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

/// Rows of a product that are computed at once if a row's results take `row_bytes`: few enough for
/// the scratch memory, enough to keep the device's processors busy. Rows do not depend on each
/// other, so how they are cut changes no bit.
constexpr std::int64_t rows_at_once(std::int64_t rows, std::int64_t row_bytes,
                                    std::int64_t budget = std::int64_t{64} << 20) {
    constexpr std::int64_t kTile = 256;
    const std::int64_t fitting = budget / std::max<std::int64_t>(row_bytes, 1) / kTile * kTile;
    return std::min(rows, std::max(fitting, kTile));
}

/// Rows of matmul_silu_mul at once. Its products are the largest there are, and a piece of them
/// ends with tiles for a part of the processors only: of 132, with 128 × 256 results each, 64 MiB
/// keep all busy 3.4 times, which takes as long as 4 times; 256 MiB 15 times. Neither stays in a
/// cache of 50 MiB beside the weights that pass through it.
constexpr std::int64_t gated_rows(std::int64_t rows, std::int64_t intermediate) {
    return rows_at_once(rows, 2 * intermediate * 4, std::int64_t{256} << 20);
}
/// [gate | up] of matmul_silu_mul, f32.
constexpr std::uint64_t gated_bytes(std::int64_t rows, std::int64_t intermediate) {
    return static_cast<std::uint64_t>(gated_rows(rows, intermediate) * 2 * intermediate * 4);
}

/// Up to this size, partial sums of all ranks go to all ranks; beyond, each rank adds a part.
inline constexpr std::int64_t kSmallSum = std::int64_t{512} << 10;  // bytes of one rank's

/// Memory of one row-parallel product [rows, n] with `shards` local shards on `tp` ranks.
struct SumScratch {
    std::int64_t rows = 0;       ///< at once
    std::uint64_t parts = 0;     ///< [shards, rows, n] f32; 0 with one shard
    std::uint64_t own = 0;       ///< this rank's sums, with room for `tp` equal parts; 0 if tp is 1
    std::uint64_t received = 0;  ///< other ranks' sums; 0 if tp is 1
    std::uint64_t total() const {
        return block_bytes(parts) + block_bytes(own) + block_bytes(received);
    }
};
constexpr SumScratch sum_scratch(std::int64_t rows, std::int64_t n, int shards, int tp) {
    SumScratch s;
    s.rows = rows_at_once(rows, n * 4 * std::max(shards, 1));
    const std::int64_t bytes = s.rows * n * 4;
    if (shards > 1) s.parts = static_cast<std::uint64_t>(bytes * shards);
    if (tp > 1) {
        const std::int64_t part = (bytes / 4 + tp - 1) / tp * 4;
        s.own = static_cast<std::uint64_t>(part * tp);
        s.received =
            static_cast<std::uint64_t>(std::max(part * tp, std::min(bytes, kSmallSum) * tp));
    }
    return s;
}

/// Memory of one mixture of experts on `rows` rows. More of them at once than of dense products:
/// the weights of all experts are read again for each part of the rows.
struct ExpertScratch {
    std::int64_t rows = 0;     ///< at once
    std::uint64_t routes = 0;  ///< experts, weights, rows and places: each [rows, top_k] of 4 bytes
    std::uint64_t offsets = 0;    ///< [experts + 1]
    std::uint64_t activated = 0;  ///< [rows, top_k, intermediate] compute
    std::uint64_t parts = 0;      ///< [shards, rows, top_k, n] f32
    SumScratch sums;              ///< unless one shard on one rank is added at once
    std::uint64_t before_sums() const {
        return 4 * block_bytes(routes) + block_bytes(offsets) + block_bytes(activated) +
               block_bytes(parts);
    }
    std::uint64_t total() const { return before_sums() + sums.total(); }
};
inline ExpertScratch expert_scratch(const StepLimits& limits, int tp) {
    constexpr std::int64_t kBudget = std::int64_t{256} << 20;
    const auto item = static_cast<std::int64_t>(size_of(limits.compute));
    const std::int64_t shards = std::max(limits.k_shards, 1), taken = limits.experts_per_row;
    const std::int64_t activated = taken * limits.intermediate * item,
                       parts = taken * limits.hidden * 4 * shards;
    ExpertScratch s;
    s.rows = rows_at_once(limits.rows, activated + parts, kBudget);
    s.routes = static_cast<std::uint64_t>(s.rows * taken * 4);
    s.offsets = static_cast<std::uint64_t>((limits.experts + 1) * 4);
    s.activated = static_cast<std::uint64_t>(s.rows * activated);
    s.parts = static_cast<std::uint64_t>(s.rows * parts);
    s.sums = sum_scratch(s.rows, limits.hidden, limits.k_shards, tp);
    return s;
}

/// Rows and columns of logits that exist at once, and targets picked out of them in one go.
inline constexpr std::int64_t kScoreRows = 512, kSlabColumns = 16384, kMaxTargets = 32768;
struct ScoreScratch {
    std::int64_t rows = 0, columns = 0;  ///< of a slab
    std::uint64_t logits = 0, stats = 0, targets = 0, target_logits = 0;
    std::uint64_t total() const {
        return block_bytes(logits) + block_bytes(stats) + block_bytes(targets) +
               block_bytes(target_logits);
    }
};
constexpr ScoreScratch score_scratch(std::int64_t rows, std::int64_t vocab_rows, int shards) {
    ScoreScratch s;
    s.rows = std::min(rows, kScoreRows);
    s.columns = std::min(vocab_rows / std::max(shards, 1), kSlabColumns);
    s.logits = static_cast<std::uint64_t>(s.rows * s.columns * 4);
    s.stats = static_cast<std::uint64_t>(s.rows * shards) * sizeof(VocabStats);
    s.targets = static_cast<std::uint64_t>(kMaxTargets) * sizeof(LogitTarget);
    s.target_logits = static_cast<std::uint64_t>(kMaxTargets) * sizeof(float);
    return s;
}

/// Memory of top_logits: a slab of logits, and per row the best so far, the sums of each shard and
/// the inverse temperature.
struct BestScratch {
    std::int64_t rows = 0, columns = 0;  ///< of a slab, as in score_vocab
    std::uint64_t logits = 0, best = 0, sums = 0, inverse_temperatures = 0;
    std::uint64_t total() const {
        return block_bytes(logits) + block_bytes(best) + block_bytes(sums) +
               block_bytes(inverse_temperatures);
    }
};
constexpr BestScratch best_scratch(std::int64_t rows, std::int64_t vocab_rows, int shards) {
    constexpr std::int64_t kSumBytes = 16;  // of a ScaledSum (best_logits.h)
    const ScoreScratch score = score_scratch(rows, vocab_rows, shards);
    BestScratch s;
    s.rows = score.rows;
    s.columns = score.columns;
    s.logits = score.logits;
    s.best = static_cast<std::uint64_t>(s.rows * kMaxTopLogits) * sizeof(TopLogit);
    s.sums = static_cast<std::uint64_t>(s.rows * shards * kSumBytes);
    s.inverse_temperatures = static_cast<std::uint64_t>(s.rows) * sizeof(float);
    return s;
}

/// Memory of draw_logits: a slab of logits, what is to be drawn, and what each block gives.
struct DrawScratch {
    std::int64_t rows = 0, columns = 0;  ///< of a slab, as in score_vocab
    std::uint64_t logits = 0, draws = 0, blocks = 0;
    std::uint64_t total() const {
        return block_bytes(logits) + block_bytes(draws) + block_bytes(blocks);
    }
};
/// Draws at once; several may be from one row.
inline constexpr std::int64_t kMostDraws = kScoreRows;
constexpr DrawScratch draw_scratch(std::int64_t rows, std::int64_t vocab_rows, int shards) {
    const ScoreScratch score = score_scratch(rows, vocab_rows, shards);
    DrawScratch s;
    s.rows = score.rows;
    s.columns = score.columns;
    s.logits = score.logits;
    s.draws = static_cast<std::uint64_t>(kMostDraws) * sizeof(LogitDraw);
    s.blocks = static_cast<std::uint64_t>(kMostDraws * shards *
                                          draw_blocks(vocab_rows / std::max(shards, 1))) *
               sizeof(BlockDraw);
    return s;
}
static_assert(kDrawBlock == kSlabColumns);

/// What attention_scratch_bytes (attention.h) gives, without CUDA; a test holds them together.
constexpr std::uint64_t attention_bytes(std::int64_t rows, std::int64_t heads,
                                        std::int64_t head_dim, std::int64_t max_context) {
    constexpr std::int64_t kRunKeys = 16 * kKvPageTokens, kSplitHeads = 8192, kPartialTail = 4;
    const std::int64_t runs = (max_context + kRunKeys - 1) / kRunKeys, all = rows * heads;
    if (runs <= 1) return 0;
    const std::int64_t partials = std::max(std::min(all, kSplitHeads) * runs, all);
    return static_cast<std::uint64_t>(partials * (head_dim + kPartialTail) * 4);
}

/// Ids, sequences, places and page ids of a step: see StepData.
constexpr std::uint64_t step_bytes(std::int64_t rows, std::int64_t sequences, std::int64_t pages) {
    return static_cast<std::uint64_t>(sequences * 16 + rows * (8 + 4) + pages * 4);
}
constexpr std::int64_t pages_of(std::int64_t tokens) {
    return (tokens + kKvPageTokens - 1) / kKvPageTokens;
}

/// The most scratch memory that one operation takes.
std::uint64_t operation_scratch_bytes(const CudaWork& work);

}  // namespace muster::cuda
