#pragma once
// Unicode normal forms and per-character mappings by utf8proc. All texts are valid UTF-8.

#include <string>
#include <string_view>

namespace muster {

enum class NormalForm { nfc, nfd, nfkc, nfkd };

void normalize_unicode(std::string& text, NormalForm form);
/// Lower case character by character, without context (Rust's char::to_lowercase).
void lowercase(std::string& text);
/// Removes combining marks (category M).
void strip_accents(std::string& text);
/// Unicode White_Space.
bool is_white_space(char32_t code_point);
/// `text` without white space at the chosen ends.
std::string_view strip_white_space(std::string_view text, bool left, bool right);

}  // namespace muster
