#include "vocab_head.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

/// Merges the statistics of one row over all virtual shards, in their order; an earlier shard wins
/// ties.
RowScore merge(const std::vector<VocabStats>& stats, std::size_t row, std::size_t rows) {
    constexpr float kNone = -std::numeric_limits<float>::infinity();
    RowScore score;
    float max = kNone;
    for (std::size_t i = row; i < stats.size(); i += rows) {
        if (stats[i].max > max) {
            max = stats[i].max;
            score.argmax = stats[i].argmax;
        }
    }
    double sum = 0;
    for (std::size_t i = row; i < stats.size(); i += rows) {
        if (stats[i].max == kNone && stats[i].sum == 0) continue;  // a shard of padding alone
        sum += static_cast<double>(stats[i].sum) *
               std::exp(static_cast<double>(stats[i].max) - static_cast<double>(max));
    }
    score.log_sum_exp = static_cast<double>(max) + std::log(sum);
    return score;
}

}  // namespace

VocabParallelHead::VocabParallelHead(Weights& weights, const std::string& name,
                                     const ModelConfig& config, const ShardPlan& plan)
    : vocab_(config.vocab_size), plan_(plan) {
    const std::int64_t begin = std::min(plan.vocab_begin, vocab_);
    matrix_ = weights.matrix(
        {WeightSlice::row_range(name, vocab_, config.hidden_size, begin, begin + plan.vocab_real)},
        1, plan.vocab_rows - plan.vocab_real);
}

void VocabParallelHead::share_targets(Backend& backend, std::span<const LogitTarget> targets,
                                      std::vector<float>& values) const {
    if (plan_.tp == 1 || targets.empty()) return;
    const std::size_t n = targets.size();
    std::vector<float> all(n * static_cast<std::size_t>(plan_.tp));
    backend.all_gather_host(std::as_bytes(std::span(values)),
                            std::as_writable_bytes(std::span(all)));
    for (std::size_t i = 0; i < n; ++i) {
        values[i] = all[static_cast<std::size_t>(targets[i].token / plan_.vocab_rows) * n + i];
    }
}

void VocabParallelHead::score(Backend& backend, const Tensor& hidden,
                              std::span<const LogitTarget> targets, std::vector<RowScore>& rows,
                              std::vector<float>& target_logits) const {
    for (const LogitTarget& target : targets) {
        if (target.token < 0 || target.token >= vocab_) {
            throw InternalError(cat("score: token ", target.token, " of a vocabulary of ", vocab_));
        }
    }
    const auto num_rows = static_cast<std::size_t>(hidden.rows());
    std::vector<VocabStats> local(num_rows * static_cast<std::size_t>(plan_.local_shards));
    target_logits.assign(targets.size(), 0.0f);
    backend.score_vocab(hidden, *matrix_, plan_.vocab_begin, plan_.vocab_real, plan_.local_shards,
                        targets, local, target_logits);
    share_targets(backend, targets, target_logits);

    std::vector<VocabStats> stats(local.size() * static_cast<std::size_t>(plan_.tp));
    backend.all_gather_host(std::as_bytes(std::span(local)),
                            std::as_writable_bytes(std::span(stats)));
    rows.clear();
    for (std::size_t row = 0; row < num_rows; ++row) rows.push_back(merge(stats, row, num_rows));
}

void VocabParallelHead::logits(Backend& backend, const Tensor& hidden,
                               std::span<const std::int32_t> ids, std::vector<float>& out) const {
    const auto rows = static_cast<std::int64_t>(ids.size());
    const std::int64_t width = plan_.vocab_rows, tp = plan_.tp;
    out.resize(static_cast<std::size_t>(rows * vocab_));
    const std::int64_t at_once = std::min(rows, kLogitRows);
    const Tensor picked = backend.allocate(hidden.dtype(), {at_once, hidden.row_size()}),
                 local = backend.allocate(DType::f32, {at_once, width});
    std::vector<float> mine, all;
    for (std::int64_t begin = 0; begin < rows; begin += kLogitRows) {
        const std::int64_t n = std::min(kLogitRows, rows - begin);
        const Tensor part = local.row_range(0, n), x = picked.row_range(0, n);
        backend.gather_rows(
            hidden, ids.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(n)), x);
        backend.matmul(x, *matrix_, {}, part);
        mine.resize(static_cast<std::size_t>(n * width));
        all.resize(static_cast<std::size_t>(tp * n * width));
        backend.copy_to_host(mine.data(), part);
        backend.all_gather_host(std::as_bytes(std::span(mine)),
                                std::as_writable_bytes(std::span(all)));
        for (std::int64_t rank = 0; rank < tp; ++rank) {
            const std::int64_t real = std::clamp<std::int64_t>(vocab_ - rank * width, 0, width);
            for (std::int64_t row = 0; row < n; ++row) {
                std::copy_n(all.data() + (rank * n + row) * width, real,
                            out.data() + (begin + row) * vocab_ + rank * width);
            }
        }
    }
}

}  // namespace muster
