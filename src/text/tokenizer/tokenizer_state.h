#pragma once
// The parts of a loaded tokenizer in the order in which a text passes them.

#include <memory>
#include <optional>
#include <string>

#include "added_tokens.h"
#include "bpe.h"
#include "decoder.h"
#include "muster/text/tokenizer.h"
#include "normalizer.h"
#include "post_processor.h"
#include "pre_tokenizer.h"
#include "tokenizer_config.h"

namespace muster {

struct Tokenizer::State {
    std::unique_ptr<Normalizer> normalizer;       ///< nullptr: none
    std::unique_ptr<PreTokenizer> pre_tokenizer;  ///< nullptr: the whole text is one word
    Bpe model;
    AddedTokens added;
    PostProcessor post_processor;
    std::unique_ptr<TokenDecoder> decoder;  ///< nullptr: tokens joined by blanks
    bool clean_up_spaces = false;
    std::optional<TokenId> bos, eos;
    std::optional<std::int64_t> model_max_length;
    std::string description;

    explicit State(const JsonNode& model_node) : model(model_node), added(model) {}

    /// From both files; throws UserError with the place of the fault.
    static std::unique_ptr<State> from_json(const JsonNode& tokenizer, const JsonNode& config);

    /// Ids of a text without added tokens' post-processing.
    void encode_text(std::string_view text, std::vector<TokenId>& out) const;
    /// Ids of a normalized stretch that contains no added token. `at_start`: nothing precedes it.
    void encode_words(std::string_view text, bool at_start, std::vector<TokenId>& out) const;
    const std::string* spelling(TokenId id) const;
    std::int32_t vocab_size() const { return std::max(model.max_id(), added.max_id()) + 1; }
};

}  // namespace muster
