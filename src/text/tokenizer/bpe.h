#pragma once
// The byte-pair-encoding model of tokenizer.json. Semantics read in huggingface/tokenizers 0.21:
// src/models/bpe/{model,word}.rs.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "json_node.h"
#include "merge_table.h"
#include "muster/text/tokenizer.h"
#include "word_cutter.h"

namespace muster {

class Bpe {
 public:
    /// From the "model" object. Throws UserError.
    explicit Bpe(const JsonNode& node);

    /// Appends the tokens of one word. Const and thread-safe; short words come from a cache of this
    /// thread.
    void encode_word(std::string_view word, std::vector<TokenId>& out) const;

    /// Bytes of a beginning of `word` that is encoded as a word of its own in every longer word,
    /// too, as is the rest; 0 if that cannot be told.
    std::size_t certain_bytes(std::string_view word) const;

    std::optional<TokenId> token_to_id(std::string_view token) const;
    /// nullptr for an unused id.
    const std::string* id_to_token(TokenId id) const;
    /// Number of tokens; ids need not be contiguous.
    std::size_t size() const { return ids_.size(); }
    TokenId max_id() const { return static_cast<TokenId>(tokens_.size()) - 1; }

 private:
    void read_vocabulary(const JsonNode& node);
    void read_merges(const JsonNode& node);
    void add_merge(std::string_view left, std::string_view right, std::size_t rank);
    bool is_merge(std::string_view left, std::string_view right) const;
    std::optional<TokenId> character_id(std::string_view character, char32_t code_point) const;
    void encode_segment(std::string_view segment, std::vector<TokenId>& out) const;
    void spell(std::string_view word, std::vector<TokenId>& out) const;
    bool spell_bytes(std::string_view character, std::vector<TokenId>& out) const;
    void merge(std::vector<TokenId>& symbols) const;
    void merge_short(std::vector<TokenId>& symbols) const;
    void merge_long(std::vector<TokenId>& symbols) const;

    struct StringHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>()(text);
        }
    };

    std::unordered_map<std::string, TokenId, StringHash, std::equal_to<>> ids_;
    std::vector<const std::string*> tokens_;  ///< by id; points into ids_
    MergeTable merges_;
    WordCutter cutter_;
    std::vector<TokenId> character_ids_;  ///< of single characters below U+3000, -1 where missing
    std::vector<TokenId> byte_ids_;       ///< of <0x00>..<0xFF>, -1 where missing
    std::string word_prefix_, word_suffix_;
    std::optional<TokenId> unknown_id_;
    bool fuse_unknown_, byte_fallback_, ignore_merges_;
    bool may_cut_;          ///< words may be encoded in segments
    std::uint64_t serial_;  ///< tells the cache entries of different models apart
};

}  // namespace muster
