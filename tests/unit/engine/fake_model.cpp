#include "fake_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>

#include "muster/base/text.h"

namespace muster::test {
namespace {

void require(bool condition, const char* what) {
    if (!condition) throw std::logic_error(cat("fake model: ", what));
}

Tensor int_tensor(Shape shape, std::int32_t value) {
    auto data = std::make_shared<std::vector<std::int32_t>>(
        static_cast<std::size_t>(num_elements(shape)), value);
    return Tensor(data->data(), DType::i32, std::move(shape), data);
}

}  // namespace

std::uint32_t fake_hash(std::uint32_t history, std::int32_t token) {
    std::uint32_t x = (history ^ static_cast<std::uint32_t>(token + 1)) * 0x9E3779B1u;
    return (x ^ (x >> 15)) * 0x85EBCA77u;
}

std::vector<float> fake_logits(std::uint32_t history, std::int64_t length) {
    const std::uint32_t mixed = fake_hash(history, static_cast<std::int32_t>(length));
    std::vector<float> row;
    for (std::int32_t token = 0; token < kFakeVocab; ++token) {
        row.push_back(static_cast<float>(fake_hash(mixed, token) >> 26) / 8 - 4);
    }
    return row;
}

RowScore fake_score(const std::vector<float>& row) {
    double sum = 0;
    for (const float logit : row) sum += std::exp(static_cast<double>(logit));
    const auto best = std::max_element(row.begin(), row.end());
    return {std::log(sum), static_cast<std::int32_t>(best - row.begin())};
}

double fake_total(const std::vector<float>& row, float inverse_temperature) {
    const float largest = *std::max_element(row.begin(), row.end());
    double total = 0;
    for (const float logit : row)
        total += std::exp(static_cast<double>(logit - largest) *
                          static_cast<double>(inverse_temperature));
    return total;
}

std::int32_t fake_draw(const std::vector<float>& row, const TokenDraw& draw) {
    constexpr std::size_t kBlock = 100;
    std::vector<double> weights, blocks;
    for (const float logit : row) {
        weights.push_back(
            std::exp(static_cast<double>(logit) * static_cast<double>(draw.inverse_temperature)));
        if (weights.size() % kBlock == 1) blocks.push_back(0);
        blocks.back() += weights.back();
    }
    // The first at which the sum exceeds uniform · total.
    const auto pick = [](std::span<const double> of, double uniform) {
        double total = 0, sum = 0;
        for (const double weight : of) total += weight;
        std::size_t i = 0;
        while (i + 1 < of.size() && (sum += of[i]) <= uniform * total) ++i;
        return i;
    };
    const std::size_t first = pick(blocks, draw.block_uniform) * kBlock;
    const auto block = std::span(weights).subspan(first, std::min(kBlock, weights.size() - first));
    return static_cast<std::int32_t>(first + pick(block, draw.token_uniform));
}

FakeModel::FakeModel(std::int64_t max_step_rows, RopeType rope) : max_step_rows_(max_step_rows) {
    config_.vocab_size = kFakeVocab;
    config_.rope.type = rope;
}

Backend& FakeModel::backend() {
    throw std::logic_error("fake model: it has no backend");
}

KvCache FakeModel::make_kv_cache(std::int32_t num_pages) {
    KvCache kv;
    kv.num_pages = num_pages;
    kv.keys.push_back(int_tensor({num_pages, kKvPageTokens, 1}, -77));
    return kv;
}

void FakeModel::copy_kv_pages(KvCache& kv, std::span<const PageCopy> copies) {
    auto* cache = kv.keys.front().as<std::int32_t>();
    for (const PageCopy& copy : copies) {
        require(copy.from >= 0 && copy.from < kv.num_pages, "page to copy from exists");
        require(copy.to >= 0 && copy.to < kv.num_pages, "page to copy to exists");
        require(copy.from != copy.to, "a copy has another page");
        ++pages_copied;
        std::copy_n(cache + copy.from * kKvPageTokens, kKvPageTokens,
                    cache + copy.to * kKvPageTokens);
    }
}

void FakeModel::check(const StepBatch& batch, const KvCache& kv) const {
    const auto rows = static_cast<std::int64_t>(batch.tokens.size());
    require(rows > 0 && rows <= max_step_rows_, "rows of the step");
    require(batch.lengths.size() == batch.sequences.size(), "number of lengths");
    require(
        std::is_sorted(batch.output_rows.begin(), batch.output_rows.end(), std::less_equal<>()) ||
            batch.output_rows.size() < 2,
        "output rows ascend");
    require(batch.output_rows.empty() ||
                (batch.output_rows.front() >= 0 && batch.output_rows.back() < rows),
            "output rows exist");
    std::int64_t row = 0;
    std::map<std::int32_t, int> readers;
    std::set<std::int32_t> written;
    for (std::size_t s = 0; s < batch.sequences.size(); ++s) {
        const AttentionSequence& sequence = batch.sequences[s];
        const std::int64_t end = sequence.first_position + sequence.num_rows;
        require(sequence.first_row == row && sequence.num_rows > 0, "sequences cover the rows");
        require(end <= batch.lengths[s], "length of a sequence");
        require(static_cast<std::int64_t>(sequence.pages.size()) ==
                    (end + kKvPageTokens - 1) / kKvPageTokens,
                "number of pages");
        for (std::size_t i = 0; i < sequence.pages.size(); ++i) {
            const std::int32_t page = sequence.pages[i];
            require(page >= 0 && page < kv.num_pages, "page exists");
            ++readers[page];
            if (static_cast<std::int32_t>(i) >= sequence.first_position / kKvPageTokens)
                written.insert(page);
        }
        row += sequence.num_rows;
    }
    for (const std::int32_t page : written)
        require(readers[page] == 1, "a page that is written belongs to one sequence");
    require(row == rows, "sequences cover all rows");
}

Tensor FakeModel::forward(const StepBatch& batch, KvCache& kv) {
    check(batch, kv);
    largest_step = std::max(largest_step, static_cast<std::int64_t>(batch.tokens.size()));
    most_sequences = std::max(most_sequences, batch.sequences.size());
    auto* cache = kv.keys.front().as<std::int32_t>();
    const auto slot = [&](const AttentionSequence& sequence,
                          std::int32_t position) -> std::int32_t& {
        const std::int32_t page =
            sequence.pages[static_cast<std::size_t>(position / kKvPageTokens)];
        return cache[page * kKvPageTokens + position % kKvPageTokens];
    };
    std::vector<std::uint32_t> history(batch.tokens.size());
    std::vector<std::int32_t> length(batch.tokens.size());
    for (std::size_t s = 0; s < batch.sequences.size(); ++s) {
        const AttentionSequence& sequence = batch.sequences[s];
        for (std::int32_t i = 0; i < sequence.num_rows; ++i) {
            const auto row = static_cast<std::size_t>(sequence.first_row + i);
            slot(sequence, sequence.first_position + i) = batch.tokens[row];
            std::uint32_t hash = kEmptyHistory;
            for (std::int32_t p = 0; p <= sequence.first_position + i; ++p)
                hash = fake_hash(hash, slot(sequence, p));
            history[row] = hash;
            length[row] = config_.rope.type == RopeType::dynamic
                              ? static_cast<std::int32_t>(batch.lengths[s])
                              : 0;
        }
    }
    Tensor hidden = int_tensor({static_cast<std::int64_t>(batch.output_rows.size()), 2}, 0);
    for (std::size_t i = 0; i < batch.output_rows.size(); ++i) {
        const auto row = static_cast<std::size_t>(batch.output_rows[i]);
        hidden.as<std::int32_t>()[2 * i] = static_cast<std::int32_t>(history[row]);
        hidden.as<std::int32_t>()[2 * i + 1] = length[row];
    }
    return hidden;
}

std::vector<float> FakeModel::row_of(const Tensor& hidden, std::int64_t row) const {
    require(row >= 0 && row < hidden.rows(), "row of hidden states exists");
    const auto* data = hidden.as<std::int32_t>() + 2 * row;
    return fake_logits(static_cast<std::uint32_t>(data[0]), data[1]);
}

void FakeModel::score(const Tensor& hidden, std::span<const LogitTarget> targets,
                      std::vector<RowScore>& rows, std::vector<float>& target_logits) {
    rows.clear();
    for (std::int64_t i = 0; i < hidden.rows(); ++i) rows.push_back(fake_score(row_of(hidden, i)));
    target_logits.clear();
    for (const LogitTarget& target : targets) {
        target_logits.push_back(
            row_of(hidden, target.row).at(static_cast<std::size_t>(target.token)));
    }
}

void FakeModel::candidates(const Tensor& hidden, int count,
                           std::span<const float> inverse_temperatures, RowCandidates& out) {
    require(count >= 1 && count <= kMaxTopLogits, "number of candidates");
    require(static_cast<std::int64_t>(inverse_temperatures.size()) == hidden.rows(),
            "number of temperatures");
    candidate_rows += hidden.rows();
    out = {};
    for (std::int64_t i = 0; i < hidden.rows(); ++i) {
        const std::vector<float> row = row_of(hidden, i);
        const float inverse = inverse_temperatures[static_cast<std::size_t>(i)];
        require(inverse > 0, "a temperature is positive");
        std::vector<TopLogit> best;
        for (std::size_t token = 0; token < row.size(); ++token)
            best.push_back({row[token], static_cast<std::int32_t>(token)});
        std::stable_sort(best.begin(), best.end(),
                         [](const auto& a, const auto& b) { return a.logit > b.logit; });
        best.resize(static_cast<std::size_t>(count));
        out.best.insert(out.best.end(), best.begin(), best.end());
        out.totals.push_back(fake_total(row, inverse));
    }
}

void FakeModel::draw(const Tensor& hidden, std::span<const TokenDraw> draws_wanted,
                     std::vector<std::int32_t>& tokens) {
    tokens.clear();
    draws += static_cast<std::int64_t>(draws_wanted.size());
    for (std::size_t i = 0; i < draws_wanted.size(); ++i) {
        require(i == 0 || draws_wanted[i - 1].row <= draws_wanted[i].row, "draws ascend");
        tokens.push_back(fake_draw(row_of(hidden, draws_wanted[i].row), draws_wanted[i]));
    }
}

void FakeModel::logits(const Tensor& hidden, std::span<const std::int32_t> rows,
                       std::vector<float>& out) {
    out.clear();
    full_logit_rows += static_cast<std::int64_t>(rows.size());
    for (const std::int32_t i : rows) {
        const auto row = row_of(hidden, i);
        out.insert(out.end(), row.begin(), row.end());
    }
}

}  // namespace muster::test
