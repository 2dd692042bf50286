#pragma once
// Python's str methods.

#include <string_view>

#include "arguments.h"

namespace muster::jinja {

using TextMethod = Any (*)(Arena& arena, std::string_view text, const Arguments& arguments);

/// nullptr if str has no such method here.
TextMethod find_text_method(std::string_view name);
/// The names of all of them.
std::vector<std::string_view> text_method_names();
/// str.islower() and str.isupper().
bool is_lower(std::string_view text);
bool is_upper(std::string_view text);
/// str.count(part): without overlaps.
std::int64_t count_parts(std::string_view text, std::string_view part);
/// str.replace(from, to, count).
Any replace_parts(Arena& arena, std::string_view text, std::string_view from, std::string_view to,
                  std::int64_t count);
/// Texts as a list.
Any list_of(Arena& arena, const std::vector<std::string>& parts);

}  // namespace muster::jinja
