// Well-formed sequences are those of table 3-7 of the Unicode standard (version 15): the second
// byte's range depends on the first, which excludes overlong forms, surrogates and values above
// U+10FFFF.
#include "muster/base/utf8.h"

namespace muster {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Decoded {
    char32_t code_point;
    std::size_t length;  // of the character, or of the longest part that could have begun one
    bool valid;
    bool truncated;  // the text ended before the character did
};

unsigned char byte_at(std::string_view text, std::size_t pos) {
    return static_cast<unsigned char>(text[pos]);
}

Decoded decode(std::string_view text, std::size_t pos) {
    unsigned char lead = byte_at(text, pos);
    if (lead < 0x80) return {lead, 1, true, false};
    if (lead < 0xC2 || lead > 0xF4) return {0xFFFD, 1, false, false};
    std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    char32_t code_point = lead & (0x7Fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if (pos + i >= text.size()) return {0xFFFD, i, false, true};
        unsigned char next = byte_at(text, pos + i);
        if (next < low || next > high) return {0xFFFD, i, false, false};
        code_point = (code_point << 6) | (next & 0x3Fu);
        low = 0x80;
        high = 0xBF;
    }
    return {code_point, length, true, false};
}

}  // namespace

char32_t next_code_point(std::string_view text, std::size_t& pos) {
    if (pos >= text.size()) return 0xFFFD;
    Decoded decoded = decode(text, pos);
    pos += decoded.valid ? decoded.length : 1;
    return decoded.code_point;
}

void append_utf8(std::string& out, char32_t code_point) {
    auto put = [&out](char32_t byte) { out += static_cast<char>(byte); };
    if (code_point < 0x80) {
        put(code_point);
    } else if (code_point < 0x800) {
        put(0xC0 | code_point >> 6);
        put(0x80 | (code_point & 0x3F));
    } else if ((code_point >= 0xD800 && code_point < 0xE000) || code_point > 0x10FFFF) {
        out += kReplacement;
    } else if (code_point < 0x10000) {
        put(0xE0 | code_point >> 12);
        put(0x80 | (code_point >> 6 & 0x3F));
        put(0x80 | (code_point & 0x3F));
    } else {
        put(0xF0 | code_point >> 18);
        put(0x80 | (code_point >> 12 & 0x3F));
        put(0x80 | (code_point >> 6 & 0x3F));
        put(0x80 | (code_point & 0x3F));
    }
}

std::size_t count_code_points(std::string_view text) {
    std::size_t count = 0;
    for (std::size_t pos = 0; pos < text.size(); ++count) next_code_point(text, pos);
    return count;
}

bool is_valid_utf8(std::string_view text) {
    for (std::size_t pos = 0; pos < text.size();) {
        Decoded decoded = decode(text, pos);
        if (!decoded.valid) return false;
        pos += decoded.length;
    }
    return true;
}

std::string replace_invalid_utf8(std::string_view text) {
    std::string clean;
    clean.reserve(text.size());
    for (std::size_t pos = 0; pos < text.size();) {
        Decoded decoded = decode(text, pos);
        clean += decoded.valid ? text.substr(pos, decoded.length) : kReplacement;
        pos += decoded.length;
    }
    return clean;
}

std::size_t complete_utf8_prefix(std::string_view text) {
    for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
        std::size_t pos = text.size() - back;
        if ((byte_at(text, pos) & 0xC0) == 0x80) continue;
        return decode(text, pos).truncated && decode(text, pos).length == back ? pos : text.size();
    }
    return text.size();
}

}  // namespace muster
