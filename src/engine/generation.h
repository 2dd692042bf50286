#pragma once
// One generation on its way: which token comes next, when it ends, and what it says.

#include <cstdint>
#include <span>
#include <vector>

#include "muster/engine/request.h"
#include "muster/text/tokenizer.h"
#include "stop_matcher.h"

namespace muster {

class Generation {
 public:
    /// `request` and `tokenizer` must outlive this object.
    Generation(const Request& request, const Tokenizer& tokenizer);

    /// False if the argmax of the row is all that is needed.
    bool needs_logits() const;
    /// The next token from a row of logits [vocab], which it overwrites.
    std::int32_t choose(std::span<float> logits) const;
    /// Takes the next token; sets finished() if it ends the generation.
    void accept(std::int32_t token);
    bool finished() const { return finish_ != FinishReason::none; }
    /// Generated so far, the stop id not included.
    const std::vector<std::int32_t>& tokens() const { return tokens_; }
    /// The result of a finished generation.
    Completion completion() const;

 private:
    void remember(std::int32_t token);

    const Request& request_;
    const Tokenizer& tokenizer_;
    std::vector<std::int32_t> stop_ids_;
    IncrementalDecoder decoder_;
    StopMatcher matcher_;
    std::vector<std::int32_t> tokens_;
    std::vector<bool> seen_;              ///< by id; empty without repetition penalty
    std::vector<std::int32_t> seen_ids_;  ///< distinct ids of prompt and output
    FinishReason finish_ = FinishReason::none;
};

}  // namespace muster
