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
};

/// Throws UserError naming an unknown type and the supported ones. `add_prefix_space`, if set,
/// overrides the key of a ByteLevel pre-tokenizer at the top level (tokenizer_config.json's key of
/// that name).
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonNode& node,
                                                 std::optional<bool> add_prefix_space = {});

}  // namespace muster
