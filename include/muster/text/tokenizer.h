#pragma once
// Text ↔ token ids exactly as Hugging Face's fast tokenizers do it, from tokenizer.json and
// tokenizer_config.json. Immutable after load; safe to use from several threads.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster {

using TokenId = std::int32_t;

/// What all texts that begin alike have in common once they are encoded. Made by Tokenizer::begin;
/// an empty one fits every text.
struct TextBeginning {
    std::string text;          ///< what they begin with, normalized
    std::size_t bytes = 0;     ///< of it, as far as the ids are certain whatever follows
    std::vector<TokenId> ids;  ///< of these bytes, without special tokens
};

class Tokenizer {
 public:
    /// Loads `directory`/tokenizer.json (+ tokenizer_config.json, special_tokens_map.json if
    /// present). Throws UserError naming file, key and what is supported.
    static Tokenizer load(const std::string& directory);
    /// From texts, for tests; `config_json` may be "".
    static Tokenizer from_json(std::string_view tokenizer_json, std::string_view config_json,
                               const std::string& place);

    Tokenizer(Tokenizer&&) noexcept;
    Tokenizer& operator=(Tokenizer&&) noexcept;
    ~Tokenizer();

    /// Ids of `text`. `add_special_tokens` runs the post-processor (BOS and EOS as the checkpoint
    /// says). The same ids with any `beginning`; one that fits saves time.
    std::vector<TokenId> encode(std::string_view text, bool add_special_tokens,
                                const TextBeginning& beginning = {}) const;
    /// For texts that begin with `text`. `earlier`, if it is a beginning of `text`, saves time.
    TextBeginning begin(std::string_view text, const TextBeginning& earlier = {}) const;
    /// Text of `ids`. clean_up_tokenization_spaces is applied as tokenizer_config.json says. May
    /// end in a partial character, which becomes U+FFFD.
    std::string decode(const std::vector<TokenId>& ids, bool skip_special_tokens) const;

    /// Size of the vocabulary with added tokens: the highest id + 1.
    std::int32_t vocab_size() const;
    std::optional<TokenId> token_to_id(std::string_view token) const;
    /// The token as tokenizer.json spells it ("Ġhello", "▁a", "<0x0A>"); "" for an unused id.
    std::string id_to_token(TokenId id) const;
    bool is_special(TokenId id) const;

    std::optional<TokenId> bos_id() const;
    std::optional<TokenId> eos_id() const;
    /// True if encode(…, true) puts BOS first.
    bool adds_bos() const;
    /// tokenizer_config.json model_max_length if it is a sensible number.
    std::optional<std::int64_t> model_max_length() const;
    /// One paragraph for humans: model, pre-tokenizer, normalizer, vocabulary size.
    std::string description() const;

 private:
    struct State;
    friend class IncrementalDecoder;
    explicit Tokenizer(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// Decodes a growing id sequence without ever emitting half a UTF-8 character. The concatenation of
/// all returned pieces and finish() equals decode(all ids) wherever the tokenizer's decoding is
/// prefix-stable.
class IncrementalDecoder {
 public:
    /// `tokenizer` must outlive this object.
    IncrementalDecoder(const Tokenizer& tokenizer, bool skip_special_tokens);
    /// Text that `id` makes certain; may be empty.
    std::string push(TokenId id);
    /// What is left (an unfinished character becomes U+FFFD).
    std::string finish();

 private:
    void shrink(const std::string& text);

    const Tokenizer* tokenizer_;
    bool skip_special_tokens_;
    std::vector<TokenId> window_;  ///< the last ids
    std::size_t emitted_ = 0;      ///< bytes of decode(window_) that were returned
};

}  // namespace muster
