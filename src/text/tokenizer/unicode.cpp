#include "unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"

namespace muster {
namespace {

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

}  // namespace

void normalize_unicode(std::string& text, NormalForm form) {
    if (is_ascii(text)) return;
    int options = UTF8PROC_STABLE;
    const bool compose = form == NormalForm::nfc || form == NormalForm::nfkc;
    options |= compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
    if (form == NormalForm::nfkc || form == NormalForm::nfkd) options |= UTF8PROC_COMPAT;
    utf8proc_uint8_t* mapped = nullptr;
    const utf8proc_ssize_t length =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                     static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                     static_cast<utf8proc_option_t>(options));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
    if (length < 0) {
        throw SystemError(cat("utf8proc: ", utf8proc_errmsg(length), " on a text of ",
                              format_bytes(text.size())));
    }
    text.assign(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(length));
}

void lowercase(std::string& text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t pos = 0; pos < text.size();) {
        const char32_t c = next_code_point(text, pos);
        if (c == 0x130) {
            out += "i\xCC\x87";  // the one lower case of two characters
        } else {
            append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<int>(c))));
        }
    }
    text = std::move(out);
}

void strip_accents(std::string& text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t pos = 0; pos < text.size();) {
        const char32_t c = next_code_point(text, pos);
        const auto category = utf8proc_category(static_cast<int>(c));
        const bool mark = category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
                          category == UTF8PROC_CATEGORY_ME;
        if (!mark) append_utf8(out, c);
    }
    text = std::move(out);
}

bool is_white_space(char32_t c) {
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

std::string_view strip_white_space(std::string_view text, bool left, bool right) {
    while (left && !text.empty()) {
        std::size_t pos = 0;
        if (!is_white_space(next_code_point(text, pos))) break;
        text.remove_prefix(pos);
    }
    while (right && !text.empty()) {
        std::size_t start = text.size() - 1;
        while (start > 0 && (text[start] & 0xC0) == 0x80) start--;
        std::size_t pos = start;
        if (!is_white_space(next_code_point(text, pos))) break;
        text.remove_suffix(text.size() - start);
    }
    return text;
}

}  // namespace muster
