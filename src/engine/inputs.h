#pragma once
// The token sequences of one Engine::run: what has to be computed, for whom, and what came out so
// far.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "generation.h"
#include "muster/engine/request.h"
#include "muster/model/model.h"

namespace muster {

/// One sequence that goes through the model: the input of one or several score requests, or one
/// generation.
struct Input {
    std::span<const std::int32_t>
        tokens;                     ///< of the request; what a generation adds is in `generation`
    std::int64_t at_most = 0;       ///< tokens it may ever have
    std::int32_t first_output = 0;  ///< rows from this position on go to the output head
    std::vector<std::size_t>
        requests;  ///< whose results these are: indices into the call's requests
    std::unique_ptr<Generation> generation;  ///< null for scores
    /// Per target in order: one for each scored position but the last, then one per request.
    std::vector<float> logprobs;
    std::vector<bool> is_argmax;

    std::int32_t token_at(std::int32_t position) const;
    bool needs_logits() const { return generation && generation->needs_logits(); }
    /// Appends the targets of the row at `position`; `row` is its index in the head's block.
    void append_targets(std::int32_t position, std::int32_t row, const std::vector<Request>& all,
                        std::vector<LogitTarget>& targets) const;
    void add_score(const RowScore& score, const LogitTarget& target, float target_logit);
    /// Writes the completions of its requests once everything is computed.
    void complete(const std::vector<Request>& all, std::vector<Completion>& completions) const;
};

/// Throws InternalError for requests that no caller should have made.
void check_requests(const std::vector<Request>& requests, std::int64_t vocab_size);

/// Inputs in the order of their first request. With `merge`, score requests of equal input tokens
/// share one.
std::vector<Input> make_inputs(const std::vector<Request>& requests, const Tokenizer& tokenizer,
                               bool merge);

}  // namespace muster
