#include "python_escape.h"

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"

namespace muster {

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Reads exactly `digits` hexadecimal digits at `pos` and moves past them.
char32_t read_hex(std::string_view body, std::size_t& pos, int digits) {
    char32_t c = 0;
    for (int i = 0; i < digits; ++i, ++pos) {
        const int digit = pos < body.size() ? hex_digit(body[pos]) : -1;
        if (digit < 0) {
            throw UserError(
                cat("broken escape in a string; expected ", digits, " hexadecimal digits"));
        }
        c = c * 16 + static_cast<char32_t>(digit);
    }
    if (c > 0x10ffff)
        throw UserError("broken escape in a string; expected a code point up to 10ffff");
    return c;
}

/// Reads up to three octal digits, the first of which stands at `pos`.
char32_t read_octal(std::string_view body, std::size_t& pos) {
    char32_t c = 0;
    for (int i = 0; i < 3 && pos < body.size() && body[pos] >= '0' && body[pos] <= '7';
         ++i, ++pos) {
        c = c * 8 + static_cast<char32_t>(body[pos] - '0');
    }
    return c;
}

}  // namespace

std::string decode_python_escapes(std::string_view body) {
    std::string out;
    out.reserve(body.size());
    for (std::size_t pos = 0; pos < body.size();) {
        const char c = body[pos++];
        if (c != '\\') {
            out += c;
            continue;
        }
        if (pos == body.size()) throw UserError("a string ends in a lone backslash");
        const char escape = body[pos++];
        switch (escape) {
            case '\n':
                break;
            case '\\':
            case '\'':
            case '"':
                out += escape;
                break;
            case 'a':
                out += '\a';
                break;
            case 'b':
                out += '\b';
                break;
            case 'f':
                out += '\f';
                break;
            case 'n':
                out += '\n';
                break;
            case 'r':
                out += '\r';
                break;
            case 't':
                out += '\t';
                break;
            case 'v':
                out += '\v';
                break;
            case 'x':
                append_utf8(out, read_hex(body, pos, 2));
                break;
            case 'u':
                append_utf8(out, read_hex(body, pos, 4));
                break;
            case 'U':
                append_utf8(out, read_hex(body, pos, 8));
                break;
            case 'N':
                throw UserError("\\N{...} is not supported; write \\uXXXX");
            default:
                if (escape >= '0' && escape <= '7') {
                    append_utf8(out, read_octal(body, --pos));
                } else {
                    out += '\\';
                    out += escape;
                }
        }
    }
    return out;
}

}  // namespace muster
