#pragma once
// From a row of logits to one token. Processors and their order are Hugging Face's
// (transformers 5.23 generation/utils.py _get_logits_processor and generation/logits_process.py):
// repetition penalty, temperature, top-k, top-p, min-p. Ties, where Hugging Face leaves the order
// to its sort, are ours: higher score first, then lower id. No libm call decides anything, so that
// all ranks and machines draw the same token.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "muster/backend/backend.h"
#include "muster/engine/request.h"

namespace muster {

/// Which random number a draw takes.
struct DrawKey {
    std::uint64_t seed = 0, sample_key = 0;
    std::uint32_t repeat = 0;
    std::uint32_t position = 0;  ///< index of the drawn token in the output
};

/// A token that the filters left, with exp(score − largest score).
struct Candidate {
    std::int32_t token = 0;
    double weight = 0;
};

/// Divides (positive) or multiplies (negative) the logits [vocab] of `tokens`, each once; `tokens`
/// are distinct, ids outside the vocabulary are passed over.
void penalize_repetition(std::span<float> logits, std::span<const std::int32_t> tokens,
                         double penalty);

/// Index of the largest logit, the lowest on ties; NaN counts as −infinity.
std::int32_t argmax(std::span<const float> logits);

/// A row of which only the best tokens are known, after the repetition penalty.
struct ListedRow {
    std::vector<TopLogit> tokens;  ///< best first, the lower id on ties
    /// No other token's logit is larger; absent if all tokens are listed.
    std::optional<float> edge;
};
/// `best` as Model::candidates gives them. A penalty of at least 1 makes no logit larger, so the
/// edge is that of the logits before; `seen` [≤ vocab] tells which tokens it is for.
ListedRow penalized_row(std::span<const TopLogit> best, const std::vector<bool>& seen,
                        double penalty);
/// argmax of the whole row, if the list proves which token that is.
std::optional<std::int32_t> argmax(const ListedRow& row);

/// What temperature, top-k, top-p and min-p leave of `logits` [vocab], by ascending id; never
/// empty. top-k keeps all ties of its last place; top-p keeps the smallest set of best tokens whose
/// probability reaches p. `total`: Σ exp(score − largest score) as others have added it, which
/// top-p without top-k takes a probability by; else it is added here, best first.
std::vector<Candidate> filter_candidates(std::span<const float> logits,
                                         const SamplingOptions& options,
                                         std::optional<double> total = std::nullopt);

/// How many of a row's best logits to ask for, so that they are likely to tell what the filters
/// leave; 0 if only all logits can. A greedy choice without a penalty needs none.
int best_logits_wanted(const SamplingOptions& options);
/// The temperature as Model::candidates wants it.
float inverse_temperature(const SamplingOptions& options);
/// filter_candidates of the whole row, if its best logits and the total prove what that is.
/// Otherwise take all logits, with the same total.
std::optional<std::vector<Candidate>> filter_best(const ListedRow& row, double total,
                                                  const SamplingOptions& options);

/// Whether nothing but the temperature says what may be drawn: then Model::draw does it.
bool by_temperature_alone(const SamplingOptions& options);
/// The numbers in [0, 1) of a draw.
std::array<double, 2> uniforms_of(const DrawKey& key);
/// Inverse of the cumulative distribution over `candidates` in their order, at the first of the
/// key's numbers.
std::int32_t draw(std::span<const Candidate> candidates, const DrawKey& key);

}  // namespace muster
