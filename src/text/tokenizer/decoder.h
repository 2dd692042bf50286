#pragma once
// The "decoder" of tokenizer.json: token spellings → text.

#include <memory>
#include <string>
#include <vector>

#include "json_node.h"

namespace muster {

class TokenDecoder {
 public:
    virtual ~TokenDecoder() = default;
    /// Rewrites the list of spellings; the text is their concatenation.
    virtual void apply(std::vector<std::string>& tokens) const = 0;
};

/// Throws UserError naming an unknown type and the supported ones.
std::unique_ptr<TokenDecoder> make_decoder(const JsonNode& node);

}  // namespace muster
