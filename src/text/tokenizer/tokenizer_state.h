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
    void encode_pieces(const PreTokens& tokens, std::vector<TokenId>& out) const;
    /// The normalized text if there is no added token in it.
    std::optional<std::string> normalize_plain(std::string_view text) const;
    /// Appends the ids of the beginning of `text`, which is as in encode_words, that are the same
    /// whatever follows it, and returns its bytes; the rest is encoded as a text of its own.
    std::size_t encode_certain(std::string_view text, bool at_start,
                               std::vector<TokenId>& out) const;
    /// Appends the ids of `text` if `beginning` is one of it; returns false if it is not.
    bool encode_rest(std::string_view text, const TextBeginning& beginning,
                     std::vector<TokenId>& out) const;
    const std::string* spelling(TokenId id) const;
    std::int32_t vocab_size() const { return std::max(model.max_id(), added.max_id()) + 1; }
};

}  // namespace muster
