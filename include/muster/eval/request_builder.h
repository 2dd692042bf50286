#pragma once
// From text to token requests by lm-evaluation-harness's rules for a causal Hugging Face model
// (lm_eval 4e7e0d47, api/model.py and models/huggingface.py): context/continuation split, BOS, left
// truncation, rolling windows.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "muster/text/tokenizer.h"

namespace muster {

/// One scored token sequence; see Request.
struct ScoreInput {
    std::vector<TokenId> tokens;
    std::int32_t first_scored = 0;
    bool truncated = false;  ///< the context lost tokens on the left
    bool too_long = false;   ///< the continuation alone exceeds the model; `tokens` is empty
};

/// A prompt to continue.
struct PromptInput {
    std::vector<TokenId> tokens;
    bool truncated = false;
};

class RequestBuilder {
 public:
    /// `max_length`: tokens that the model sees at most. `add_bos` overrides the tokenizer's own
    /// choice. Throws UserError if the tokenizer has neither BOS nor EOS to start an empty context
    /// with.
    RequestBuilder(const Tokenizer& tokenizer, std::int64_t max_length,
                   std::optional<bool> add_bos);

    std::int64_t max_length() const { return max_length_; }
    TokenId prefix_token() const { return prefix_token_; }

    /// Tokens of `text` with the special tokens that a prompt gets; none if it already starts with
    /// the prefix token's text.
    std::vector<TokenId> encode(std::string_view text, const TextBeginning& beginning = {}) const;
    /// For texts that begin with `text`, as the examples of a task: makes encoding them cheaper.
    TextBeginning begin(std::string_view text) const { return tokenizer_->begin(text); }
    /// Continuations of one context, which is encoded once.
    std::vector<ScoreInput> continuations(std::string_view context,
                                          const std::vector<std::string>& continuations,
                                          const TextBeginning& beginning = {}) const;
    /// Windows whose log-likelihoods add up to that of `text`; none for a text without tokens.
    std::vector<ScoreInput> rolling(std::string_view text) const;
    /// `text` cut from the left to leave room for `max_new_tokens`. Throws UserError if no room is
    /// left at all.
    PromptInput prompt(std::string_view text, std::int64_t max_new_tokens,
                       const TextBeginning& beginning = {}) const;

 private:
    ScoreInput truncate(std::vector<TokenId> context,
                        const std::vector<TokenId>& continuation) const;

    const Tokenizer* tokenizer_;
    std::int64_t max_length_;
    std::optional<bool> add_bos_;
    TokenId prefix_token_ = 0;
    std::string prefix_text_;
};

}  // namespace muster
