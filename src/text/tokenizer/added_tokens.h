#pragma once
// Tokens that are found in the text before the model sees it: <s>, <|im_end|>, runs of blanks.
// Semantics read in huggingface/tokenizers 0.21: src/tokenizer/added_vocabulary.rs.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bpe.h"
#include "byte_trie.h"
#include "json_node.h"
#include "muster/text/regex.h"
#include "normalizer.h"

namespace muster {

struct AddedToken {
    std::string content;
    bool single_word = false, lstrip = false, rstrip = false, normalized = false, special = false;

    /// From an object with "content" and the five flags; a missing "normalized" is the opposite of
    /// special.
    static AddedToken from_json(const JsonNode& node);
};

class AddedTokens {
 public:
    explicit AddedTokens(const Bpe& model) : model_(&model) {}

    /// Adds or changes a token. Its id is the model's if the model knows it, else `id`, else the
    /// next free one. Returns false if `id` belongs to another token already.
    bool add(AddedToken token, std::optional<TokenId> id);
    /// Makes the added token `id` special; nothing happens if there is none.
    void mark_special(TokenId id);
    /// Call after the last add().
    void build(const Normalizer* normalizer);

    /// One stretch of a text: an added token, or text in between (id -1).
    struct Section {
        TokenId id;
        std::size_t begin, end;
    };
    /// Cuts the raw text at tokens with normalized = false.
    std::vector<Section> split_raw(std::string_view text) const {
        return split(text, raw_, raw_ids_);
    }
    /// Cuts a normalized text at the others.
    std::vector<Section> split_normalized(std::string_view text) const {
        return split(text, normalized_, normalized_ids_);
    }

    std::optional<TokenId> token_to_id(std::string_view token) const;
    const AddedToken* find(TokenId id) const;
    std::size_t size() const { return by_id_.size(); }
    TokenId max_id() const { return by_id_.empty() ? -1 : by_id_.rbegin()->first; }

    AddedTokens(const AddedTokens&) = delete;
    AddedTokens& operator=(const AddedTokens&) = delete;

 private:
    std::vector<Section> split(std::string_view text, const ByteTrie& trie,
                               const std::vector<TokenId>& ids) const;
    bool is_single_word(std::string_view text, std::size_t begin, std::size_t end) const;

    const Bpe* model_;
    std::map<TokenId, AddedToken> by_id_;
    std::unordered_map<std::string, TokenId> by_content_;
    ByteTrie raw_, normalized_;
    std::vector<TokenId> raw_ids_, normalized_ids_;
    Regex word_character_{R"(\A[\w\x{200c}\x{200d}])", Regex::Dialect::tokenizer};
};

}  // namespace muster
