// The best tokens of rows: every rank's own, merged. The numbers that travel are a few hundred per
// row, not its logits.

#include <algorithm>
#include <limits>

#include "muster/base/portable_exp.h"
#include "vocab_head.h"

namespace muster {

namespace {

/// What one rank knows of `rows` rows, or all ranks one after another: what travels.
struct CandidateParts {
    CandidateParts(std::size_t rows, std::size_t its_count, std::size_t its_shards)
        : count(its_count),
          shards(its_shards),
          sums(rows * shards),
          maxima(rows * shards),
          best(rows * count) {}
    std::size_t bytes() const {
        return std::span(sums).size_bytes() + std::span(maxima).size_bytes() +
               std::span(best).size_bytes();
    }
    /// Calls f(bytes) for each of its parts.
    template <typename Call>
    void for_each(const Call& call) {
        call(std::as_writable_bytes(std::span(sums)));
        call(std::as_writable_bytes(std::span(maxima)));
        call(std::as_writable_bytes(std::span(best)));
    }

    std::size_t count, shards;
    std::vector<double> sums;    // [shards, rows]
    std::vector<float> maxima;   // [shards, rows]
    std::vector<TopLogit> best;  // [rows, count]
};

/// The total of row `row` over the virtual shards of all ranks, in their order.
double merge_sums(const std::vector<CandidateParts>& ranks, std::size_t row, std::size_t rows,
                  float inverse_temperature) {
    float max = -std::numeric_limits<float>::infinity();
    for (const CandidateParts& rank : ranks)
        for (std::size_t i = row; i < rank.maxima.size(); i += rows)
            max = std::max(max, rank.maxima[i]);
    double total = 0;
    for (const CandidateParts& rank : ranks) {
        for (std::size_t i = row; i < rank.sums.size(); i += rows) {
            const float shard_max = rank.maxima[i];
            total +=
                rank.sums[i] *
                (shard_max == max
                     ? 1.0
                     : portable_exp((static_cast<double>(shard_max) - static_cast<double>(max)) *
                                    static_cast<double>(inverse_temperature)));
        }
    }
    return total;
}

/// The best of row `row` on all ranks.
void merge_best(const std::vector<CandidateParts>& ranks, std::size_t row,
                std::span<TopLogit> out) {
    std::vector<TopLogit> all;
    for (const CandidateParts& rank : ranks) {
        const auto mine = std::span(rank.best).subspan(row * rank.count, rank.count);
        const auto merged = static_cast<std::ptrdiff_t>(all.size());
        all.insert(all.end(), mine.begin(), std::find_if(mine.begin(), mine.end(), [](auto& item) {
                       return item.token < 0;
                   }));
        std::inplace_merge(all.begin(), all.begin() + merged, all.end(),
                           [](const TopLogit& a, const TopLogit& b) {
                               return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
                           });
        all.resize(std::min(all.size(), out.size()));
    }
    std::fill(std::copy(all.begin(), all.end(), out.begin()), out.end(), TopLogit{});
}

}  // namespace

void VocabParallelHead::candidates(Backend& backend, const Tensor& hidden, int count,
                                   std::span<const float> inverse_temperatures,
                                   RowCandidates& out) const {
    const auto rows = static_cast<std::size_t>(hidden.rows()),
               width = static_cast<std::size_t>(count);
    CandidateParts mine(rows, width, static_cast<std::size_t>(plan_.local_shards));
    backend.top_logits(hidden, *matrix_, plan_.vocab_begin, plan_.vocab_real, plan_.local_shards,
                       count, inverse_temperatures, mine.best, mine.maxima, mine.sums);
    std::vector<CandidateParts> ranks(static_cast<std::size_t>(plan_.tp), mine);
    if (plan_.tp > 1) {
        std::vector<std::byte> sent, received(mine.bytes() * ranks.size());
        mine.for_each([&](auto part) { sent.insert(sent.end(), part.begin(), part.end()); });
        backend.all_gather_host(sent, received);
        const std::byte* next = received.data();
        for (CandidateParts& rank : ranks) {
            rank.for_each([&](auto part) {
                std::copy_n(next, part.size(), part.begin());
                next += part.size();
            });
        }
    }
    out.best.resize(rows * width);
    out.totals.resize(rows);
    for (std::size_t row = 0; row < rows; ++row) {
        merge_best(ranks, row, std::span(out.best).subspan(row * width, width));
        out.totals[row] = merge_sums(ranks, row, rows, inverse_temperatures[row]);
    }
}

}  // namespace muster
