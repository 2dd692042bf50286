#include "muster/base/utf8.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace muster;
using namespace std::string_literals;

TEST_CASE("every code point survives encoding and decoding") {
    std::size_t wrong = 0;
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
        if (c >= 0xD800 && c < 0xE000) continue;
        std::string text;
        append_utf8(text, c);
        std::size_t pos = 0;
        bool same = next_code_point(text, pos) == c && pos == text.size();
        if (!same || !is_valid_utf8(text) || count_code_points(text) != 1) ++wrong;
        if (complete_utf8_prefix(text) != text.size()) ++wrong;
        for (std::size_t cut = 1; cut < text.size(); ++cut)
            if (complete_utf8_prefix(text + text.substr(0, cut)) != text.size()) ++wrong;
    }
    CHECK(wrong == 0);
}

TEST_CASE("surrogates and values beyond Unicode are written as U+FFFD") {
    for (char32_t c : {0xD800u, 0xDFFFu, 0x110000u, 0xFFFFFFFFu}) {
        std::string text;
        append_utf8(text, c);
        CHECK(text == "\uFFFD");
    }
}

// Expected strings: bytes.decode("utf-8", errors="replace") of CPython 3.11.
TEST_CASE("malformed bytes are replaced as Python replaces them") {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"abc", "abc"},
        {"a\xFFz", "a\uFFFDz"},
        {"\xC0\x80", "\uFFFD\uFFFD"},            // overlong
        {"\xE0\x80\x80", "\uFFFD\uFFFD\uFFFD"},  // overlong
        {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},  // surrogate
        {"\xE2\x82", "\uFFFD"},                  // cut
        {"\xE2\x82x", "\uFFFDx"},
        {"\xF0\x9F\x98", "\uFFFD"},
        {"\xF0\x80\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
        {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
        {"\xF0\x9F\xF0\x9F\x98\x80", "\uFFFD\U0001F600"},
        {"\x80\xE4\xBD\xA0", "\uFFFD\u4F60"},
    };
    for (const auto& [bytes, expected] : cases) {
        CAPTURE(expected);
        CHECK(replace_invalid_utf8(bytes) == expected);
        CHECK(is_valid_utf8(bytes) == (bytes == expected));
        CHECK(is_valid_utf8(replace_invalid_utf8(bytes)));
    }
}

TEST_CASE("next_code_point steps over one malformed byte at a time") {
    std::string text = "\xE2\x82x";
    std::size_t pos = 0;
    CHECK(next_code_point(text, pos) == 0xFFFD);
    CHECK(pos == 1);
    CHECK(next_code_point(text, pos) == 0xFFFD);
    CHECK(next_code_point(text, pos) == U'x');
    CHECK(pos == 3);
    CHECK(count_code_points(text) == 3);
    CHECK(next_code_point(text, pos) == 0xFFFD);  // at the end: nothing is read
    CHECK(pos == 3);
    CHECK(count_code_points("a\0b"s) == 3);
}

TEST_CASE("complete_utf8_prefix cuts only inside a character that may still become whole") {
    CHECK(complete_utf8_prefix("") == 0);
    CHECK(complete_utf8_prefix("abc\xF0\x9F\x98") == 3);
    CHECK(complete_utf8_prefix("\xE4") == 0);
    CHECK(complete_utf8_prefix("a\xFF") == 2);          // never becomes valid
    CHECK(complete_utf8_prefix("a\x80") == 2);          // no lead
    CHECK(complete_utf8_prefix("a\xC3\xA9\x80") == 4);  // whole, then a stray byte
    CHECK(complete_utf8_prefix("a\xE0\x80") == 3);      // overlong: already broken
    CHECK(complete_utf8_prefix("\x80\x80\x80\x80") == 4);
}
