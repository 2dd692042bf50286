#pragma once
// The "normalizer" of tokenizer.json: what happens to a text before it is cut into words.

#include <memory>
#include <string>

#include "json_node.h"

namespace muster {

class Normalizer {
 public:
    virtual ~Normalizer() = default;
    /// Rewrites `text` (valid UTF-8) in place.
    virtual void apply(std::string& text) const = 0;
};

/// Throws UserError naming an unknown type and the supported ones.
std::unique_ptr<Normalizer> make_normalizer(const JsonNode& node);

}  // namespace muster
