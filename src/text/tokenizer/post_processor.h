#pragma once
// The "post_processor" of tokenizer.json, reduced to what one text needs: ids before and after it.

#include <vector>

#include "json_node.h"
#include "muster/text/tokenizer.h"

namespace muster {

struct PostProcessor {
    std::vector<TokenId> prefix, suffix;

    /// Throws UserError naming an unknown type and the supported ones.
    static PostProcessor from_json(const JsonNode& node);
};

}  // namespace muster
