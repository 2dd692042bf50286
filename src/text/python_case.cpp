#include <algorithm>

#include "muster/base/utf8.h"
#include "muster/text/python_string.h"
#include "unicode_case.h"

// Case of whole strings as CPython 3.11's Objects/unicodeobject.c maps it.

namespace muster {

namespace {

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x80; });
}

char ascii_lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
char ascii_upper(char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}

std::u32string code_points(std::string_view text) {
    std::u32string out;
    out.reserve(text.size());
    for (std::size_t pos = 0; pos < text.size();) out.push_back(next_code_point(text, pos));
    return out;
}

/// True if the Σ at `i` ends a word: a cased letter before it, none after it, ignorable ones
/// skipped.
bool is_final_sigma(const std::u32string& text, std::size_t i) {
    std::size_t before = i;
    while (before > 0 && is_case_ignorable(text[before - 1])) --before;
    if (before == 0 || !is_cased(text[before - 1])) return false;
    std::size_t after = i + 1;
    while (after < text.size() && is_case_ignorable(text[after])) ++after;
    return after == text.size() || !is_cased(text[after]);
}

void append_lower_at(std::string& out, const std::u32string& text, std::size_t i) {
    if (text[i] == 0x3a3) {
        append_utf8(out, is_final_sigma(text, i) ? 0x3c2 : 0x3c3);
    } else {
        append_lower(out, text[i]);
    }
}

}  // namespace

std::string python_lower(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    if (is_ascii(text)) {
        for (const char c : text) out.push_back(ascii_lower(c));
        return out;
    }
    const std::u32string points = code_points(text);
    for (std::size_t i = 0; i < points.size(); ++i) append_lower_at(out, points, i);
    return out;
}

std::string python_upper(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    if (is_ascii(text)) {
        for (const char c : text) out.push_back(ascii_upper(c));
        return out;
    }
    for (std::size_t pos = 0; pos < text.size();) append_upper(out, next_code_point(text, pos));
    return out;
}

std::string python_capitalize(std::string_view text) {
    const std::u32string points = code_points(text);
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < points.size(); ++i) {
        if (i == 0) {
            append_title(out, points[i]);
        } else {
            append_lower_at(out, points, i);
        }
    }
    return out;
}

std::string python_title(std::string_view text) {
    const std::u32string points = code_points(text);
    std::string out;
    out.reserve(text.size());
    bool inside_word = false;
    for (std::size_t i = 0; i < points.size(); ++i) {
        if (inside_word) {
            append_lower_at(out, points, i);
        } else {
            append_title(out, points[i]);
        }
        inside_word = is_cased(points[i]);
    }
    return out;
}

}  // namespace muster
