// Log-softmax statistics without logits in memory: the head's product runs over slabs of the
// vocabulary, each slab is reduced to (max, Σ exp, argmax) at once, and the slabs of a virtual
// shard are merged in ascending order. Slabs start at shard boundaries, so the statistics of a
// shard do not depend on how many shards this rank owns.

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/cpu_backend.h"
#include "cpu/flush_denormals.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cpu {

namespace {

static_assert(kVocabShardUnit % kPanel == 0);
constexpr std::int64_t kSlab = 512;        // columns of one slab
constexpr std::int64_t kRowsAtOnce = 512;  // rows whose slab statistics are kept

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

/// Appends a slab to running statistics; an earlier maximum wins ties.
void merge(VocabStats& total, const VocabStats& slab, const Kernels& kernels) {
    if (slab.max == -std::numeric_limits<float>::infinity()) return;
    if (total.max == -std::numeric_limits<float>::infinity()) {
        total = slab;
        return;
    }
    float factors[2] = {total.max, slab.max};
    kernels.exp_minus_max(factors, 2);
    total.sum = __builtin_fmaf(total.sum, factors[0], slab.sum * factors[1]);
    if (slab.max > total.max) {
        total.max = slab.max;
        total.argmax = slab.argmax;
    }
}

}  // namespace

std::int64_t score_scratch_floats(std::int64_t run_rows) {
    return run_rows * kSlab;
}

void CpuBackend::score_vocab(const Tensor& x, const Matrix& matrix, std::int64_t vocab_begin,
                             std::int64_t vocab_real, int shards,
                             std::span<const LogitTarget> targets, std::span<VocabStats> stats,
                             std::span<float> target_logits) {
    const auto& w = dynamic_cast<const CpuMatrix&>(matrix);
    const std::int64_t rows = x.rows(), shard_size = w.n() / shards;
    if (w.n() % shards != 0 || shard_size % kVocabShardUnit != 0 ||
        static_cast<std::int64_t>(stats.size()) != rows * shards ||
        target_logits.size() != targets.size() || vocab_real > w.n()) {
        throw InternalError(cat("score_vocab: ", w.n(), " rows in ", shards, " shards, ",
                                stats.size(), " statistics for ", rows, " rows, ", targets.size(),
                                " targets"));
    }
    std::vector<std::vector<std::size_t>> targets_of_row(static_cast<std::size_t>(rows));
    for (std::size_t i = 0; i < targets.size(); ++i) {
        const std::int64_t local = targets[i].token - vocab_begin;
        if (targets[i].row < 0 || targets[i].row >= rows)
            throw InternalError("score_vocab: target row out of range");
        if (local >= 0 && local < vocab_real)
            targets_of_row[static_cast<std::size_t>(targets[i].row)].push_back(i);
    }

    const std::int64_t slabs_per_shard = ceil_div(shard_size, kSlab),
                       slabs = slabs_per_shard * shards;
    std::vector<VocabStats> slab_stats(
        static_cast<std::size_t>(std::min(rows, kRowsAtOnce) * slabs));
    for (std::int64_t row_begin = 0; row_begin < rows; row_begin += kRowsAtOnce) {
        const std::int64_t chunk = std::min(kRowsAtOnce, rows - row_begin);
        const int threads = product_threads(chunk, w);
        Product product(x.row_range(row_begin, row_begin + chunk), w, kernels_, pool_, threads,
                        product_scratch_);
        const std::int64_t longest_run = product.longest_run();
        float* logits_memory = slab_scratch_.floats(pool_.threads() * score_scratch_floats(longest_run));
        const auto score_slab = [&](std::int64_t task, int thread) {
            const FlushDenormals flush(w.dtype());
            const std::int64_t slab = task % slabs, run = task / slabs;
            const std::int64_t shard = slab / slabs_per_shard;
            const std::int64_t begin = shard * shard_size + slab % slabs_per_shard * kSlab;
            const std::int64_t end =
                std::min({begin + kSlab, (shard + 1) * shard_size, vocab_real});
            const std::int64_t run_rows = product.num_rows(run);
            float* logits = logits_memory + thread * longest_run * kSlab;
            for (std::int64_t column = begin; column < end;) {
                const std::int64_t count =
                    std::min(product.max_panels(), ceil_div(end - column, kPanel));
                const float* sums = product.multiply(column / kPanel, count, run, thread);
                for (std::int64_t p = 0; p < count; ++p, column += kPanel) {
                    const float* from = sums + p * product.panel_stride();
                    for (std::int64_t r = 0; r < run_rows; ++r)
                        std::copy_n(from + r * kPanel, kPanel, logits + r * kSlab + column - begin);
                }
            }
            for (std::int64_t r = 0; r < run_rows; ++r) {
                const std::int64_t row = product.first_row(run) + r;
                const float* row_logits = logits + r * kSlab;
                VocabStats& out = slab_stats[static_cast<std::size_t>(row * slabs + slab)];
                out = {-std::numeric_limits<float>::infinity(), 0, 0};
                if (begin < end) {
                    const RunStats stats_of_run = kernels_.run_stats(row_logits, end - begin);
                    out = {stats_of_run.max, stats_of_run.sum,
                           static_cast<std::int32_t>(vocab_begin + begin + stats_of_run.argmax)};
                }
                for (const std::size_t i :
                     targets_of_row[static_cast<std::size_t>(row_begin + row)]) {
                    const std::int64_t local = targets[i].token - vocab_begin;
                    if (local >= begin && local < end) target_logits[i] = row_logits[local - begin];
                }
            }
        };
        pool_.run(threads, product.runs() * slabs, score_slab, true);
        for (std::int64_t row = 0; row < chunk; ++row) {
            for (int shard = 0; shard < shards; ++shard) {
                const VocabStats* from =
                    &slab_stats[static_cast<std::size_t>(row * slabs + shard * slabs_per_shard)];
                VocabStats total = from[0];
                for (std::int64_t i = 1; i < slabs_per_shard; ++i) merge(total, from[i], kernels_);
                stats[static_cast<std::size_t>(shard * rows + row_begin + row)] = total;
            }
        }
    }
}

}  // namespace muster::cpu
