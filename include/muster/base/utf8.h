#pragma once
// UTF-8 as muster reads it. Text from outside may be broken; nothing here throws or reads past the end.

#include <cstddef>
#include <string>
#include <string_view>

namespace muster {

/// The code point at byte `pos` of `text`; advances `pos` past it. A malformed byte gives U+FFFD and
/// advances by one.
char32_t next_code_point(std::string_view text, std::size_t& pos);
/// Appends `code_point` as UTF-8; surrogates and values above U+10FFFF become U+FFFD.
void append_utf8(std::string& out, char32_t code_point);
/// Number of code points, as Python's len(str) counts them. Malformed bytes count one each.
std::size_t count_code_points(std::string_view text);
/// True if `text` is well-formed UTF-8 (no overlong forms, no surrogates).
bool is_valid_utf8(std::string_view text);
/// `text` with malformed sequences replaced by U+FFFD the way Python's errors="replace" does it.
std::string replace_invalid_utf8(std::string_view text);
/// Length in bytes of the longest prefix of `text` that does not end inside a character.
std::size_t complete_utf8_prefix(std::string_view text);

}  // namespace muster
