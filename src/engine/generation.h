#pragma once
// One generation on its way: which token comes next, when it ends, and what it says.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "muster/backend/backend.h"
#include "muster/engine/request.h"
#include "muster/model/model.h"
#include "muster/text/tokenizer.h"
#include "sampler.h"
#include "stop_matcher.h"

namespace muster {

class Generation {
 public:
    /// `request` and `tokenizer` must outlive this object.
    Generation(const Request& request, const Tokenizer& tokenizer);

    /// False if the argmax of the row is all that is needed; else RowSampler chooses.
    bool needs_logits() const;
    /// What RowSampler asks the model for; see sampler.h. 0: all logits at once.
    int best_logits_wanted() const { return best_logits_wanted_; }
    float inverse_temperature() const { return inverse_temperature_; }
    /// Whether Model::draw chooses, and from what; `row` is for the caller to set.
    bool drawn_by_model() const { return drawn_by_model_; }
    TokenDraw model_draw() const;
    /// The next token from a row's best logits, best first, if they tell; from all logits, with the
    /// same total, it would be the same one.
    std::optional<std::int32_t> choose(std::span<const TopLogit> best, double total) const;
    /// The next token from a row of logits [vocab], which it overwrites, and the row's total where
    /// that is known.
    std::int32_t choose(std::span<float> logits, std::optional<double> total) const;
    /// Takes the next token; sets finished() if it ends the generation.
    void accept(std::int32_t token);
    bool finished() const { return finish_ != FinishReason::none; }
    /// Generated so far, the stop id not included.
    const std::vector<std::int32_t>& tokens() const { return tokens_; }
    /// The result of a finished generation.
    Completion completion() const;

 private:
    void remember(std::int32_t token);
    DrawKey key() const;

    const Request& request_;
    const Tokenizer& tokenizer_;
    const int best_logits_wanted_;
    const bool drawn_by_model_;
    const float inverse_temperature_;  ///< 1 where nothing is drawn
    std::vector<std::int32_t> stop_ids_;
    IncrementalDecoder decoder_;
    StopMatcher matcher_;
    std::vector<std::int32_t> tokens_;
    std::vector<bool> seen_;              ///< by id; empty without repetition penalty
    std::vector<std::int32_t> seen_ids_;  ///< distinct ids of prompt and output
    FinishReason finish_ = FinishReason::none;
};

}  // namespace muster
