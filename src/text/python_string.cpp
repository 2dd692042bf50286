#include "muster/text/python_string.h"

#include <algorithm>
#include <limits>

#include "muster/base/error.h"
#include "muster/base/utf8.h"

namespace muster {

namespace {

/// Start of the character that ends at byte `end` (> 0); a stray byte is a character of its own.
std::size_t previous_start(std::string_view text, std::size_t end) {
    std::size_t start = end - 1;
    while (start > 0 && end - start < 4 && (static_cast<unsigned char>(text[start]) & 0xc0) == 0x80)
        --start;
    std::size_t pos = start;
    next_code_point(text, pos);
    return pos == end ? start : end - 1;
}

template <typename Predicate>
std::string_view strip_left(std::string_view text, Predicate drop) {
    std::size_t begin = 0;
    while (begin < text.size()) {
        std::size_t pos = begin;
        const char32_t c = next_code_point(text, pos);
        if (!drop(c, text.substr(begin, pos - begin))) break;
        begin = pos;
    }
    return text.substr(begin);
}

template <typename Predicate>
std::string_view strip_right(std::string_view text, Predicate drop) {
    std::size_t end = text.size();
    while (end > 0) {
        const std::size_t start = previous_start(text, end);
        std::size_t pos = start;
        const char32_t c = next_code_point(text, pos);
        if (!drop(c, text.substr(start, end - start))) break;
        end = start;
    }
    return text.substr(0, end);
}

bool drop_space(char32_t c, std::string_view) {
    return is_python_space(c);
}

/// Drops the characters of a set. Spelled by their bytes, so that a malformed byte matches only
/// itself.
struct DropSet {
    std::string_view chars;
    bool operator()(char32_t, std::string_view bytes) const {
        for (std::size_t pos = 0; pos < chars.size();) {
            const std::size_t begin = pos;
            next_code_point(chars, pos);
            if (chars.substr(begin, pos - begin) == bytes) return true;
        }
        return false;
    }
};

std::size_t split_limit(int max_split) {
    return max_split < 0 ? std::numeric_limits<std::size_t>::max()
                         : static_cast<std::size_t>(max_split);
}

void require_separator(std::string_view separator) {
    if (separator.empty())
        throw UserError("empty separator; expected at least one character to split at");
}

/// str.splitlines: \n \v \f \r \x1c \x1d \x1e \x85 U+2028 U+2029.
bool is_line_break(char32_t c) {
    return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

}  // namespace

bool is_python_space(char32_t c) {
    if (c < 0x80) return c == 0x20 || (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

std::string_view python_lstrip(std::string_view text) {
    return strip_left(text, drop_space);
}
std::string_view python_rstrip(std::string_view text) {
    return strip_right(text, drop_space);
}
std::string_view python_strip(std::string_view text) {
    return python_rstrip(python_lstrip(text));
}

std::string_view python_lstrip(std::string_view text, std::string_view chars) {
    return strip_left(text, DropSet{chars});
}

std::string_view python_rstrip(std::string_view text, std::string_view chars) {
    return strip_right(text, DropSet{chars});
}

std::string_view python_strip(std::string_view text, std::string_view chars) {
    return python_rstrip(python_lstrip(text, chars), chars);
}

std::vector<std::string> python_split(std::string_view text, int max_split) {
    std::vector<std::string> parts;
    const std::size_t limit = split_limit(max_split);
    std::string_view rest = python_lstrip(text);
    while (!rest.empty()) {
        if (parts.size() == limit) {
            parts.emplace_back(rest);  // Python keeps the blanks at the far end
            break;
        }
        std::size_t end = 0;
        for (std::size_t pos = 0; pos < rest.size(); end = pos) {
            if (is_python_space(next_code_point(rest, pos))) break;
        }
        parts.emplace_back(rest.substr(0, end));
        rest = python_lstrip(rest.substr(end));
    }
    return parts;
}

std::vector<std::string> python_rsplit(std::string_view text, int max_split) {
    std::vector<std::string> parts;
    const std::size_t limit = split_limit(max_split);
    std::string_view rest = python_rstrip(text);
    while (!rest.empty()) {
        if (parts.size() == limit) {
            parts.emplace_back(rest);
            break;
        }
        std::size_t begin = rest.size();
        while (begin > 0) {
            const std::size_t start = previous_start(rest, begin);
            std::size_t pos = start;
            if (is_python_space(next_code_point(rest, pos))) break;
            begin = start;
        }
        parts.emplace_back(rest.substr(begin));
        rest = python_rstrip(rest.substr(0, begin));
    }
    std::reverse(parts.begin(), parts.end());
    return parts;
}

std::vector<std::string> python_split(std::string_view text, std::string_view separator,
                                      int max_split) {
    require_separator(separator);
    std::vector<std::string> parts;
    const std::size_t limit = split_limit(max_split);
    std::size_t begin = 0;
    while (parts.size() < limit) {
        const std::size_t found = text.find(separator, begin);
        if (found == std::string_view::npos) break;
        parts.emplace_back(text.substr(begin, found - begin));
        begin = found + separator.size();
    }
    parts.emplace_back(text.substr(begin));
    return parts;
}

std::vector<std::string> python_rsplit(std::string_view text, std::string_view separator,
                                       int max_split) {
    require_separator(separator);
    std::vector<std::string> parts;
    const std::size_t limit = split_limit(max_split);
    std::size_t end = text.size();
    while (parts.size() < limit && end >= separator.size()) {
        const std::size_t found = text.rfind(separator, end - separator.size());
        if (found == std::string_view::npos) break;
        parts.emplace_back(text.substr(found + separator.size(), end - found - separator.size()));
        end = found;
    }
    parts.emplace_back(text.substr(0, end));
    std::reverse(parts.begin(), parts.end());
    return parts;
}

std::vector<std::string> python_splitlines(std::string_view text, bool keep_ends) {
    std::vector<std::string> lines;
    std::size_t begin = 0;
    for (std::size_t pos = 0; pos < text.size();) {
        const std::size_t at = pos;
        const char32_t c = next_code_point(text, pos);
        if (!is_line_break(c)) continue;
        if (c == '\r' && pos < text.size() && text[pos] == '\n') ++pos;
        lines.emplace_back(text.substr(begin, (keep_ends ? pos : at) - begin));
        begin = pos;
    }
    if (begin < text.size()) lines.emplace_back(text.substr(begin));
    return lines;
}

std::string python_replace(std::string_view text, std::string_view from, std::string_view to,
                           int count) {
    std::string out;
    std::size_t left = split_limit(count);
    std::size_t begin = 0;
    if (from.empty()) {  // between all characters and at both ends
        while (left > 0) {
            out += to;
            --left;
            if (begin >= text.size()) break;
            std::size_t pos = begin;
            next_code_point(text, pos);
            out += text.substr(begin, pos - begin);
            begin = pos;
        }
        return out += text.substr(std::min(begin, text.size()));
    }
    while (left > 0) {
        const std::size_t found = text.find(from, begin);
        if (found == std::string_view::npos) break;
        out += text.substr(begin, found - begin);
        out += to;
        begin = found + from.size();
        --left;
    }
    return out += text.substr(begin);
}

}  // namespace muster
