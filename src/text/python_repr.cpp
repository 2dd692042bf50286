#include <charconv>
#include <cmath>
#include <cstdlib>

#include "muster/base/utf8.h"
#include "muster/text/python_string.h"
#include "unicode_case.h"

namespace muster {

namespace {

void append_hex(std::string& out, char32_t c, int digits) {
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
        out += "0123456789abcdef"[(c >> shift) & 15];
}

void append_escaped(std::string& out, char32_t c) {
    switch (c) {
        case '\t':
            out += "\\t";
            return;
        case '\n':
            out += "\\n";
            return;
        case '\r':
            out += "\\r";
            return;
        default:
            break;
    }
    if (c < 0x100) {
        out += "\\x";
        append_hex(out, c, 2);
    } else if (c < 0x10000) {
        out += "\\u";
        append_hex(out, c, 4);
    } else {
        out += "\\U";
        append_hex(out, c, 8);
    }
}

void append_repr(std::string& out, const Value& value) {
    switch (value.kind()) {
        case Value::Kind::null:
            out += "None";
            break;
        case Value::Kind::boolean:
            out += value.as_bool() ? "True" : "False";
            break;
        case Value::Kind::integer:
            out += std::to_string(value.as_integer());
            break;
        case Value::Kind::real:
            out += python_float_repr(value.as_real());
            break;
        case Value::Kind::string:
            out += python_string_repr(value.as_string());
            break;
        case Value::Kind::array: {
            const char* separator = "";
            out += '[';
            for (const Value& item : value.as_array()) {
                out += separator;
                append_repr(out, item);
                separator = ", ";
            }
            out += ']';
            break;
        }
        case Value::Kind::object: {
            const char* separator = "";
            out += '{';
            for (const auto& [key, item] : value.as_object().members()) {
                out += separator;
                out += python_string_repr(key);
                out += ": ";
                append_repr(out, item);
                separator = ", ";
            }
            out += '}';
            break;
        }
    }
}

}  // namespace

std::string python_float_repr(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    // Shortest digits d.ddde±x, then laid out as CPython's Python/pystrtod.c does for 'r': an
    // exponent only if the decimal point would stand left of -3 or right of 16 digits.
    char buffer[32];
    const auto end =
        std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
    std::string_view shortest(buffer, static_cast<std::size_t>(end - buffer));
    std::string out;
    if (shortest.front() == '-') {
        out = "-";
        shortest.remove_prefix(1);
    }
    const std::size_t e = shortest.find('e');
    const int point = std::atoi(std::string(shortest.substr(e + 1)).c_str()) + 1;
    std::string digits(shortest.substr(0, 1));
    if (e > 2) digits += shortest.substr(2, e - 2);
    const int count = static_cast<int>(digits.size());
    if (point > 16 || point < -3) {
        out += digits.substr(0, 1);
        if (count > 1) out += "." + digits.substr(1);
        const int exponent = point - 1;
        out += exponent < 0 ? "e-" : "e+";
        const std::string magnitude = std::to_string(std::abs(exponent));
        if (magnitude.size() < 2) out += '0';
        return out + magnitude;
    }
    if (point <= 0) return out + "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
    if (point >= count)
        return out + digits + std::string(static_cast<std::size_t>(point - count), '0') + ".0";
    return out + digits.substr(0, static_cast<std::size_t>(point)) + "." +
           digits.substr(static_cast<std::size_t>(point));
}

std::string python_string_repr(std::string_view text) {
    const bool double_quotes =
        text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
    const char quote = double_quotes ? '"' : '\'';
    std::string out(1, quote);
    for (std::size_t pos = 0; pos < text.size();) {
        const std::size_t begin = pos;
        const char32_t c = next_code_point(text, pos);
        if (c == static_cast<unsigned char>(quote) || c == '\\') {
            out += '\\';
            out += static_cast<char>(c);
        } else if (is_python_printable(c)) {
            out += text.substr(begin, pos - begin);
        } else {
            append_escaped(out, c);
        }
    }
    return out += quote;
}

std::string python_repr(const Value& value) {
    std::string out;
    append_repr(out, value);
    return out;
}

std::string python_str(const Value& value) {
    return value.is_string() ? value.as_string() : python_repr(value);
}

}  // namespace muster
