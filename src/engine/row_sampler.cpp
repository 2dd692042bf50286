#include "row_sampler.h"

#include <algorithm>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

constexpr std::size_t kBestRows = 512;                        // of one call to Model::candidates
constexpr std::size_t kLogitElements = std::size_t{1} << 24;  // of one call to Model::logits

/// Calls `head(begin, end, draws)` for rows that are drawn from, in neighbours of at most
/// kBestRows; `draws` by ascending row.
template <typename Draw, typename Head>
void for_blocks(std::span<const Draw> draws, const Head& head) {
    for (std::size_t first = 0; first < draws.size();) {
        const std::size_t begin = draws[first].row;
        std::size_t last = first, end = begin;
        for (; last < draws.size() && draws[last].row <= end && draws[last].row - begin < kBestRows;
             ++last)
            end = draws[last].row + 1;
        head(begin, end, draws.subspan(first, last - first));
        first = last;
    }
}

Tensor rows_of(const Tensor& hidden, std::size_t begin, std::size_t end) {
    return hidden.row_range(static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end));
}

}  // namespace

void RowSampler::sample(const Tensor& hidden, std::span<const OutputRow> rows, Sequences& sequences,
                        const Accept& accept) {
    std::vector<Draw> by_best, by_model;
    undecided_.clear();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        bool any = false;
        for (const std::int32_t node : sequences.drawers(rows[i].node, rows[i].position)) {
            const Generation& generation = sequences.generation(node);
            if (!generation.needs_logits()) continue;
            any = true;
            (generation.drawn_by_model()           ? by_model
             : generation.best_logits_wanted() > 0 ? by_best
                                                   : undecided_)
                .push_back({i, node, {}});
        }
        rows_ += any;
    }
    sample_by_model(hidden, by_model, sequences, accept);
    for_blocks(std::span<const Draw>(by_best),
               [&](std::size_t begin, std::size_t end, std::span<const Draw> draws) {
                   sample_best(hidden, begin, end, {draws.begin(), draws.end()}, sequences, accept);
               });
    sample_logits(hidden, sequences, accept);
}

void RowSampler::sample_best(const Tensor& hidden, std::size_t begin, std::size_t end,
                             std::vector<Draw> draws, Sequences& sequences, const Accept& accept) {
    const std::size_t num_rows = end - begin;
    // One temperature per row at a time. Generations of one row have the same as a rule; others
    // come in another round.
    while (!draws.empty()) {
        inverse_temperatures_.assign(num_rows, 0.0f);
        int count = 1;
        for (const Draw& draw : draws) {
            const Generation& generation = sequences.generation(draw.node);
            float& inverse = inverse_temperatures_[draw.row - begin];
            if (inverse == 0) inverse = generation.inverse_temperature();
            count = std::max(count, generation.best_logits_wanted());
        }
        std::replace(inverse_temperatures_.begin(), inverse_temperatures_.end(), 0.0f, 1.0f);
        model_.candidates(rows_of(hidden, begin, end), count, inverse_temperatures_, found_);
        const auto width = static_cast<std::size_t>(count);
        if (found_.best.size() != num_rows * width || found_.totals.size() != num_rows) {
            throw InternalError(cat("engine: the model gave ", found_.best.size(),
                                    " candidates, expected the best ", count, " of ", num_rows,
                                    " rows"));
        }
        std::erase_if(draws, [&](Draw draw) {
            const Generation& generation = sequences.generation(draw.node);
            const std::size_t row = draw.row - begin;
            if (generation.inverse_temperature() != inverse_temperatures_[row]) return false;
            // As many as this generation wants, whatever its neighbours do.
            const auto best =
                std::span<const TopLogit>(found_.best)
                    .subspan(row * width,
                             static_cast<std::size_t>(generation.best_logits_wanted()));
            draw.total = found_.totals[row];
            if (const auto token = generation.choose(best, *draw.total))
                accept(draw.node, *token);
            else
                undecided_.push_back(draw);
            return true;
        });
    }
}

void RowSampler::sample_by_model(const Tensor& hidden, std::span<const Draw> draws,
                                 Sequences& sequences, const Accept& accept) {
    if (draws.empty()) return;
    model_draws_.clear();
    for (const Draw& draw : draws) {
        model_draws_.push_back(sequences.generation(draw.node).model_draw());
        model_draws_.back().row = static_cast<std::int32_t>(draw.row);
    }
    model_.draw(hidden, model_draws_, tokens_);
    if (tokens_.size() != draws.size())
        throw InternalError(
            cat("engine: the model drew ", tokens_.size(), " tokens, expected ", draws.size()));
    for (std::size_t i = 0; i < draws.size(); ++i) accept(draws[i].node, tokens_[i]);
}

void RowSampler::sample_logits(const Tensor& hidden, Sequences& sequences, const Accept& accept) {
    std::stable_sort(undecided_.begin(), undecided_.end(),
                     [](const Draw& a, const Draw& b) { return a.row < b.row; });
    const auto vocab = static_cast<std::size_t>(model_.config().vocab_size);
    const std::size_t at_once = std::max<std::size_t>(1, kLogitElements / vocab);
    for (std::size_t next = 0; next < undecided_.size();) {
        const std::size_t first = next;
        std::vector<std::int32_t> rows;
        for (; next < undecided_.size(); ++next) {
            const auto row = static_cast<std::int32_t>(undecided_[next].row);
            if (!rows.empty() && rows.back() == row) continue;
            if (rows.size() == at_once) break;
            rows.push_back(row);
        }
        model_.logits(hidden, rows, logits_);
        if (logits_.size() != rows.size() * vocab) {
            throw InternalError(cat("engine: the model gave ", logits_.size(), " logits, expected ",
                                    rows.size(), " rows of ", vocab));
        }
        rows_of_logits_ += rows.size();
        std::size_t at = 0;
        for (std::size_t i = first; i < next; ++i) {
            const Draw& draw = undecided_[i];
            while (static_cast<std::size_t>(rows[at]) != draw.row) ++at;
            const float* row = logits_.data() + at * vocab;
            copy_.assign(row, row + vocab);  // others may draw from the row as well
            accept(draw.node, sequences.generation(draw.node).choose(copy_, draw.total));
        }
    }
}

}  // namespace muster
