#pragma once
// Quoted YAML scalars, read from the source text by the rules of PyYAML 6.0 (scanner.py,
// scan_flow_scalar). yaml-cpp 0.7 finds them but misreads three things: the last of several line
// feeds before the closing quote, the escapes \N and \_, and a quote that is never closed.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace muster {

/// The offset of the node at `pos` itself, behind its anchor and tag; text.size() if nothing
/// follows.
std::size_t skip_properties(std::string_view text, std::size_t pos);
/// The content of the scalar whose quote opens at `pos`; nothing if it is never closed or holds an
/// unknown escape.
std::optional<std::string> read_quoted(std::string_view text, std::size_t pos);

}  // namespace muster
