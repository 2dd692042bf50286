#pragma once
// Where in a text a problem lies, as messages show it.

#include <cstddef>
#include <string>
#include <string_view>

namespace muster {

constexpr std::size_t kMaxDepth = 200;  ///< of nested arrays and objects, in JSON and YAML

/// "<place>:<line>:<column>: " of byte `offset`; both count from 1, columns in characters.
std::string position_prefix(std::string_view text, std::size_t offset, const std::string& place);
/// Throws UserError at the first byte of `text` that is not UTF-8.
void require_utf8(std::string_view text, const std::string& place);

}  // namespace muster
