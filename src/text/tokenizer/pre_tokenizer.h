#pragma once
// The "pre_tokenizer" of tokenizer.json: cuts a normalized text into the words that BPE merges
// within.

#include <memory>
#include <string>
#include <vector>

#include "json_node.h"
#include "pattern.h"

namespace muster {

/// A text and its words. A pre-tokenizer narrows the pieces or rewrites text and pieces together.
struct PreTokens {
    std::string text;
    std::vector<Piece> pieces;
    bool at_start;  ///< text[0] is the first character of the whole input
};

class PreTokenizer {
 public:
    virtual ~PreTokenizer() = default;
    virtual void apply(PreTokens& tokens) const = 0;
    /// Like apply() for a beginning of the text, which is one piece: as far as its words are the
    /// same whatever text follows, and those of the rest do not depend on it. Returns the bytes of
    /// that beginning; 0, and no pieces, where this cannot be told.
    virtual std::size_t apply_certain(PreTokens& tokens) const {
        tokens.pieces.clear();
        return 0;
    }
};

/// Throws UserError naming an unknown type and the supported ones. `add_prefix_space`, if set,
/// overrides the key of a ByteLevel pre-tokenizer at the top level (tokenizer_config.json's key of
/// that name).
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonNode& node,
                                                 std::optional<bool> add_prefix_space = {});

}  // namespace muster
