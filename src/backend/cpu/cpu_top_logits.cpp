// The best logits of rows, for sampling. Reading the logits of a row again costs little beside the
// product that makes them, so they are in memory for some rows at a time, and each row is gone
// through by one thread: shard by shard, so that sums do not depend on how many this rank owns.

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/cpu_backend.h"
#include "cpu/flush_denormals.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cpu {

namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();

bool better(const TopLogit& a, const TopLogit& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

/// The best `count` of what it is shown, by ascending token.
class BestLogits {
 public:
    explicit BestLogits(int count) : count_(static_cast<std::size_t>(count)) {
        kept_.reserve(2 * count_);
    }

    void add(const float* logits, std::int64_t n, std::int32_t first_token) {
        constexpr std::int64_t kBlock = 64;
        for (std::int64_t begin = 0; begin < n; begin += kBlock) {
            const std::int64_t end = std::min(begin + kBlock, n);
            int any = !full_;
            for (std::int64_t i = begin; i < end; ++i) any |= logits[i] > bar_;
            for (std::int64_t i = begin; any != 0 && i < end; ++i) {
                if (full_ && !(logits[i] > bar_)) continue;
                const float logit = std::isnan(logits[i]) ? kNone : logits[i];
                kept_.push_back({logit, first_token + static_cast<std::int32_t>(i)});
                if (kept_.size() == 2 * count_) shrink();
            }
        }
    }
    /// Best first; the rest of `out` is "there is none".
    void take(std::span<TopLogit> out) {
        if (kept_.size() > count_) shrink();
        std::sort(kept_.begin(), kept_.end(), better);
        std::fill(std::copy(kept_.begin(), kept_.end(), out.begin()), out.end(),
                  TopLogit{kNone, -1});
    }

 private:
    void shrink() {
        const auto last = kept_.begin() + static_cast<std::ptrdiff_t>(count_ - 1);
        std::nth_element(kept_.begin(), last, kept_.end(), better);
        bar_ = last->logit;
        full_ = true;
        kept_.resize(count_);
    }

    std::size_t count_;
    std::vector<TopLogit> kept_;
    bool full_ = false;  ///< `count` are at least as good as bar_: a later equal is no better
    float bar_ = kNone;
};

}  // namespace

std::int64_t top_logits_rows(std::int64_t rows, std::int64_t vocab_rows) {
    constexpr std::int64_t kBytes = std::int64_t{32} << 20;
    const std::int64_t fitting = kBytes / (vocab_rows * std::int64_t{sizeof(float)});
    return std::min(rows, std::max<std::int64_t>(fitting / kTileRows * kTileRows, kTileRows));
}

void CpuBackend::top_logits(const Tensor& x, const Matrix& w, std::int64_t vocab_begin,
                            std::int64_t vocab_real, int shards, int count,
                            std::span<const float> inverse_temperatures,
                            std::span<TopLogit> candidates, std::span<float> maxima,
                            std::span<double> sums) {
    const std::int64_t rows = x.rows(), width = w.n(), shard_size = shards > 0 ? width / shards : 0;
    const auto per_shard = static_cast<std::size_t>(rows * shards);
    if (shards < 1 || width % shards != 0 || shard_size % kVocabShardUnit != 0 || count < 1 ||
        count > kMaxTopLogits || vocab_real > width || maxima.size() != per_shard ||
        sums.size() != per_shard || inverse_temperatures.size() != static_cast<std::size_t>(rows) ||
        candidates.size() != static_cast<std::size_t>(rows * count)) {
        throw InternalError(cat("top_logits: ", width, " rows in ", shards, " shards, the best ",
                                count, " of ", rows, " rows into ", candidates.size(),
                                " candidates and ", sums.size(), " sums"));
    }
    const std::int64_t at_once = top_logits_rows(rows, width);
    float* memory = logit_scratch_.floats(at_once * width);
    for (std::int64_t begin = 0; begin < rows; begin += at_once) {
        const std::int64_t n = std::min(at_once, rows - begin);
        matmul(x.row_range(begin, begin + n), w, {}, {memory, DType::f32, {n, width}, nullptr});
        const auto choose = [&](std::int64_t task, int) {
            const FlushDenormals flush(x.dtype());
            const std::int64_t row = begin + task;
            const float* logits = memory + task * width;
            BestLogits best(count);
            for (int shard = 0; shard < shards; ++shard) {
                const std::int64_t first = shard * shard_size,
                                   size =
                                       std::clamp<std::int64_t>(vocab_real - first, 0, shard_size);
                const auto at = static_cast<std::size_t>(shard * rows + row);
                maxima[at] = kernels_.max(logits + first, size);
                sums[at] = kernels_.exp_sum(logits + first, size, maxima[at],
                                            inverse_temperatures[static_cast<std::size_t>(row)]);
                best.add(logits + first, size, static_cast<std::int32_t>(vocab_begin + first));
            }
            best.take(candidates.subspan(static_cast<std::size_t>(row * count),
                                         static_cast<std::size_t>(count)));
        };
        pool_.run(threads_for(static_cast<double>(n * width)), n, choose);
    }
}

}  // namespace muster::cpu
