#pragma once
// Tokens to a syntax tree.

#include <memory>
#include <string_view>

#include "ast.h"

namespace muster::jinja {

/// Parses `source`. Throws UserError "<place>:<line>:<column>: …".
std::unique_ptr<Program> parse_template(std::string_view source, const std::string& place,
                                        const TemplateOptions& options);

}  // namespace muster::jinja
