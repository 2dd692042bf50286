// Log-softmax statistics without the logits of a whole row in memory: slabs of the head's product
// are reduced as they come. Slabs start at the borders of virtual shards, so the statistics of a
// shard do not depend on how many shards this rank owns.

#include <algorithm>

#include "cuda/cuda_backend.h"
#include "cuda/vocab_stats.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

/// Where the parts of the scratch memory begin.
struct ScoreMemory {
    ScoreMemory(std::byte* memory, const ScoreScratch& sizes) {
        logits = reinterpret_cast<float*>(memory);
        memory += block_bytes(sizes.logits);
        stats = reinterpret_cast<VocabStats*>(memory);
        memory += block_bytes(sizes.stats);
        targets = reinterpret_cast<LogitTarget*>(memory);
        memory += block_bytes(sizes.targets);
        target_logits = reinterpret_cast<float*>(memory);
    }
    float* logits;
    VocabStats* stats;
    LogitTarget* targets;
    float* target_logits;
};

/// Targets of some rows that are in this rank's vocabulary, at most kMaxTargets of them.
struct TargetBatch {
    std::vector<LogitTarget> targets;  ///< rows counted from the first
    std::vector<std::size_t> index;    ///< in the caller's list
};
/// At least one batch; one is enough for any but the strangest calls.
std::vector<TargetBatch> batches_of(std::span<const LogitTarget> targets, std::int64_t row_begin,
                                    std::int64_t row_end, std::int64_t vocab_begin,
                                    std::int64_t vocab_real) {
    std::vector<TargetBatch> batches(1);
    for (std::size_t i = 0; i < targets.size(); ++i) {
        const LogitTarget& t = targets[i];
        const std::int64_t local = t.token - vocab_begin;
        if (t.row < row_begin || t.row >= row_end || local < 0 || local >= vocab_real) continue;
        if (static_cast<std::int64_t>(batches.back().targets.size()) == kMaxTargets)
            batches.emplace_back();
        batches.back().targets.push_back({static_cast<std::int32_t>(t.row - row_begin), t.token});
        batches.back().index.push_back(i);
    }
    return batches;
}

}  // namespace

void CudaBackend::multiply_slab(const Tensor& x, const CudaMatrix& w, std::int64_t begin,
                                std::int64_t rows, std::int64_t first, std::int64_t width,
                                float* logits) {
    Product p = product(x, w, begin, rows, logits, width);
    p.n = width;
    p.w = static_cast<const std::byte*>(w.data()) +
          static_cast<std::size_t>(first * w.k()) * size_of(w.dtype());
    multiplier_->multiply(p, stream_);
}

void CudaBackend::score_vocab(const Tensor& x, const Matrix& matrix, std::int64_t vocab_begin,
                              std::int64_t vocab_real, int shards,
                              std::span<const LogitTarget> targets, std::span<VocabStats> stats,
                              std::span<float> target_logits) {
    const auto& w = dynamic_cast<const CudaMatrix&>(matrix);
    const std::int64_t rows = x.rows(), shard_size = shards > 0 ? w.n() / shards : 0;
    if (shards < 1 || w.n() % shards != 0 || shard_size % kVocabShardUnit != 0 || w.gated() ||
        w.k_shards() != 1 || x.row_size() != w.k() || x.dtype() != w.dtype() ||
        static_cast<std::int64_t>(stats.size()) != rows * shards ||
        target_logits.size() != targets.size() || vocab_real > w.n()) {
        throw InternalError(cat("score_vocab: ", w.n(), " rows in ", shards, " shards, ",
                                stats.size(), " statistics for ", rows, " rows, ", targets.size(),
                                " targets"));
    }
    for (const LogitTarget& target : targets)
        if (target.row < 0 || target.row >= rows)
            throw InternalError("score_vocab: target row out of range");

    const ScoreScratch sizes = score_scratch(rows, w.n(), shards);
    const ScoreMemory memory(scratch(sizes.total()), sizes);
    std::vector<VocabStats> got;
    std::vector<float> got_logits;
    for (std::int64_t row_begin = 0; row_begin < rows; row_begin += sizes.rows) {
        const std::int64_t count = std::min(sizes.rows, rows - row_begin);
        for (const TargetBatch& batch :
             batches_of(targets, row_begin, row_begin + count, vocab_begin, vocab_real)) {
            const auto num_targets = static_cast<std::int64_t>(batch.targets.size());
            if (num_targets > 0)
                staging_.upload(memory.targets, batch.targets.data(),
                                batch.targets.size() * sizeof(LogitTarget));
            for (int shard = 0; shard < shards; ++shard) {
                for (std::int64_t slab = 0; slab < shard_size; slab += sizes.columns) {
                    const std::int64_t begin = shard * shard_size + slab,
                                       width = std::min(sizes.columns, shard_size - slab),
                                       real =
                                           std::clamp<std::int64_t>(vocab_real - begin, 0, width);
                    if (real == 0 && slab > 0) continue;  // nothing is added to what there is
                    if (real > 0)
                        multiply_slab(x, w, row_begin, count, begin, width, memory.logits);
                    const auto first_id = static_cast<std::int32_t>(vocab_begin + begin);
                    append_stats(memory.logits, width, count, real, first_id, slab == 0,
                                 memory.stats + shard * count, stream_);
                    pick_targets(memory.logits, width, real, first_id, memory.targets, num_targets,
                                 memory.target_logits, stream_);
                }
            }
            got_logits.resize(batch.targets.size());
            staging_.download(got_logits.data(), memory.target_logits,
                              got_logits.size() * sizeof(float));
            for (std::size_t i = 0; i < got_logits.size(); ++i)
                target_logits[batch.index[i]] = got_logits[i];
        }
        got.resize(static_cast<std::size_t>(count * shards));
        staging_.download(got.data(), memory.stats, got.size() * sizeof(VocabStats));
        for (int shard = 0; shard < shards; ++shard)
            std::copy_n(got.begin() + shard * count, count,
                        stats.begin() + shard * rows + row_begin);
    }
}

}  // namespace muster::cuda
