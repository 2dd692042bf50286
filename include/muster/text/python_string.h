#pragma once
// Strings as Python treats them, on UTF-8.

#include <string>
#include <string_view>
#include <vector>

#include "muster/config/value.h"

namespace muster {

/// str.isspace() of one code point: Unicode White_Space plus U+001C..U+001F.
bool is_python_space(char32_t code_point);
std::string_view python_strip(std::string_view text);
std::string_view python_lstrip(std::string_view text);
std::string_view python_rstrip(std::string_view text);
/// str.strip(chars): removes any of the code points in `chars`.
std::string_view python_strip(std::string_view text, std::string_view chars);
std::string_view python_lstrip(std::string_view text, std::string_view chars);
std::string_view python_rstrip(std::string_view text, std::string_view chars);
/// str.split(None, maxsplit): runs of whitespace.
std::vector<std::string> python_split(std::string_view text, int max_split = -1);
/// str.split(separator, maxsplit). Throws UserError if `separator` is empty.
std::vector<std::string> python_split(std::string_view text, std::string_view separator,
                                      int max_split = -1);
/// str.rsplit(None, maxsplit) and str.rsplit(separator, maxsplit).
std::vector<std::string> python_rsplit(std::string_view text, int max_split = -1);
std::vector<std::string> python_rsplit(std::string_view text, std::string_view separator,
                                       int max_split = -1);
/// str.splitlines(keepends).
std::vector<std::string> python_splitlines(std::string_view text, bool keep_ends = false);
std::string python_lower(std::string_view text);
std::string python_upper(std::string_view text);
std::string python_capitalize(std::string_view text);
std::string python_title(std::string_view text);
std::string python_replace(std::string_view text, std::string_view from, std::string_view to,
                           int count = -1);
/// repr(float): shortest digits that round-trip, Python's exponent rules.
std::string python_float_repr(double value);
/// repr(str): quotes as Python chooses them, what does not print escaped.
std::string python_string_repr(std::string_view text);
/// repr(value): 'a', [1, 2.0, None, True], {'k': 1}.
std::string python_repr(const Value& value);
/// str(value): strings as they are, everything else as repr.
std::string python_str(const Value& value);
/// ast.literal_eval for str, numbers, True/False/None, lists, tuples (as arrays), dicts (with
/// string keys). Throws UserError.
Value python_literal(std::string_view text);

}  // namespace muster
