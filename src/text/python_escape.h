#pragma once
// Escape sequences of Python's string literals, which Jinja shares.

#include <string>
#include <string_view>

namespace muster {

/// The text that the literal body `body` (without quotes) stands for: \n, \x41, \u2014, \101, …; an
/// unknown escape keeps its backslash. Throws UserError for a broken one; the caller adds the
/// place.
std::string decode_python_escapes(std::string_view body);

}  // namespace muster
