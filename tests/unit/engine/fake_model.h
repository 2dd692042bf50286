#pragma once
// A model whose logits are a hash of all tokens up to the row, read back through the KV pages that
// it was given, so that mixed-up pages, positions or rows change the result. It also checks what a
// real model takes on trust.

#include <cstdint>
#include <span>
#include <vector>

#include "muster/model/model.h"

namespace muster::test {

inline constexpr std::int32_t kFakeVocab = 258;  ///< that of byte_tokenizer()

/// Hash of the empty history, and of one more token at the end of a history.
inline constexpr std::uint32_t kEmptyHistory = 2166136261u;
std::uint32_t fake_hash(std::uint32_t history, std::int32_t token);
/// Logits [vocab] after a history; multiples of 1/8, so that ties occur. `length` is the sequence's
/// StepBatch length for a model whose rope depends on it, 0 for others.
std::vector<float> fake_logits(std::uint32_t history, std::int64_t length);
/// Log-sum-exp and argmax of a row.
RowScore fake_score(const std::vector<float>& row);
/// Σ exp((logit − largest) · inverse temperature), added by the fake model's own order.
double fake_total(const std::vector<float>& row, float inverse_temperature);

/// What the fake model draws, whose vocabulary has three blocks.
std::int32_t fake_draw(const std::vector<float>& row, const TokenDraw& draw);

class FakeModel final : public Model {
 public:
    explicit FakeModel(std::int64_t max_step_rows, RopeType rope = RopeType::standard);

    const ModelConfig& config() const override { return config_; }
    Backend& backend() override;
    std::uint64_t weight_bytes() const override { return 0; }
    KvCache make_kv_cache(std::int32_t num_pages) override;
    void copy_kv_pages(KvCache& kv, std::span<const PageCopy> copies) override;
    Tensor forward(const StepBatch& batch, KvCache& kv) override;
    void score(const Tensor& hidden, std::span<const LogitTarget> targets,
               std::vector<RowScore>& rows, std::vector<float>& target_logits) override;
    void candidates(const Tensor& hidden, int count, std::span<const float> inverse_temperatures,
                    RowCandidates& out) override;
    void draw(const Tensor& hidden, std::span<const TokenDraw> draws,
              std::vector<std::int32_t>& tokens) override;
    void logits(const Tensor& hidden, std::span<const std::int32_t> rows,
                std::vector<float>& out) override;

    std::int64_t largest_step = 0;     ///< rows
    std::int64_t full_logit_rows = 0;  ///< rows that logits() was asked for
    std::int64_t candidate_rows = 0;   ///< rows that candidates() was asked for
    std::int64_t draws = 0;            ///< that draw() was asked for
    std::size_t most_sequences = 0;    ///< in one step
    std::int64_t pages_copied = 0;

 private:
    /// Logits of one row of hidden states.
    std::vector<float> row_of(const Tensor& hidden, std::int64_t row) const;
    void check(const StepBatch& batch, const KvCache& kv) const;

    ModelConfig config_;
    std::int64_t max_step_rows_;
};

}  // namespace muster::test
