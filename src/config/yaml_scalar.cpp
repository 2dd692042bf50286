#include "yaml_scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>

namespace muster {

namespace {

constexpr std::string_view kDecimal = "0123456789_";

template <std::size_t n>
bool one_of(std::string_view text, const std::array<std::string_view, n>& words) {
    return std::find(words.begin(), words.end(), text) != words.end();
}

constexpr std::array<std::string_view, 9> kTrue{"yes",  "Yes", "YES", "true", "True",
                                                "TRUE", "on",  "On",  "ON"};
constexpr std::array<std::string_view, 9> kFalse{"no",    "No",  "NO",  "false", "False",
                                                 "FALSE", "off", "Off", "OFF"};
constexpr std::array<std::string_view, 5> kNull{"", "~", "null", "Null", "NULL"};
constexpr std::array<std::string_view, 3> kInf{".inf", ".Inf", ".INF"};
constexpr std::array<std::string_view, 3> kNan{".nan", ".NaN", ".NAN"};

bool only(std::string_view text, std::string_view allowed) {
    return text.find_first_not_of(allowed) == text.npos;
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::string without_underscores(std::string_view text) {
    std::string clean(text);
    std::erase(clean, '_');
    return clean;
}

// `digits` in `base` with its sign; a real when it does not fit 64 bits.
Value make_integer(const std::string& digits, int base, bool negative) {
    std::string text = (negative ? "-" : "") + digits;
    std::int64_t value = 0;
    auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error == std::errc()) return value;
    double real = 0;
    for (char c : digits) real = real * base + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    if (base == 10) real = std::strtod(digits.c_str(), nullptr);
    return negative ? -real : real;
}

// "1:30:05" → the parts behind each colon are one or two digits below 60.
bool is_sexagesimal_tail(std::string_view tail) {
    while (!tail.empty()) {
        if (tail[0] != ':') return false;
        std::size_t next = std::min(tail.find(':', 1), tail.size());
        std::string_view part = tail.substr(1, next - 1);
        bool short_part = part.size() == 1 && is_digit(part[0]);
        bool long_part = part.size() == 2 && part[0] >= '0' && part[0] <= '5' && is_digit(part[1]);
        if (!short_part && !long_part) return false;
        tail.remove_prefix(next);
    }
    return true;
}

double sexagesimal(const std::string& text) {
    double value = 0;
    std::size_t begin = 0;
    while (begin <= text.size()) {
        std::size_t end = std::min(text.find(':', begin), text.size());
        value = value * 60 + std::strtod(text.substr(begin, end - begin).c_str(), nullptr);
        begin = end + 1;
    }
    return value;
}

std::optional<Value> integer_of(std::string_view text, bool negative) {
    auto based = [&](std::string_view digits, std::string_view allowed,
                     int base) -> std::optional<Value> {
        std::string clean = without_underscores(digits);
        if (clean.empty() || !only(digits, allowed)) return std::nullopt;
        return make_integer(clean, base, negative);
    };
    if (text.empty() || !is_digit(text[0])) return std::nullopt;
    if (text == "0") return Value(0);
    if (text.starts_with("0b")) return based(text.substr(2), "01_", 2);
    if (text.starts_with("0x")) return based(text.substr(2), "0123456789abcdefABCDEF_", 16);
    if (text[0] == '0') return based(text, "01234567_", 8);
    if (only(text, kDecimal)) return based(text, kDecimal, 10);
    std::size_t colon = text.find(':');
    if (colon == text.npos || !only(text.substr(0, colon), kDecimal) ||
        !is_sexagesimal_tail(text.substr(colon)))
        return std::nullopt;
    double value = sexagesimal(without_underscores(text));
    if (value >= 0x1p63) return Value(negative ? -value : value);
    auto whole = static_cast<std::int64_t>(value);
    return Value(negative ? -whole : whole);
}

// digits "." digits [exponent with a sign]; without digits in front no sign may stand there.
bool is_point_real(std::string_view text, bool has_sign) {
    std::size_t point = text.find('.');
    if (point == text.npos) return false;
    std::string_view whole = text.substr(0, point), rest = text.substr(point + 1);
    if (!only(whole, kDecimal) || whole.starts_with('_')) return false;
    std::size_t exponent = rest.find_first_of("eE");
    std::string_view fraction = rest.substr(0, exponent);
    if (!only(fraction, kDecimal)) return false;
    if (whole.empty() && (has_sign || fraction.empty() || !is_digit(fraction[0]))) return false;
    if (exponent == rest.npos) return true;
    std::string_view power = rest.substr(exponent + 1);
    return power.size() >= 2 && (power[0] == '+' || power[0] == '-') &&
           only(power.substr(1), "0123456789");
}

std::optional<Value> real_of(std::string_view text, bool has_sign, bool negative) {
    double value = 0;
    std::size_t colon = text.find(':'), point = text.find('.');
    if (one_of(text, kInf)) {
        value = std::numeric_limits<double>::infinity();
    } else if (!has_sign && one_of(text, kNan)) {
        return Value(std::numeric_limits<double>::quiet_NaN());
    } else if (colon != text.npos && point != text.npos && colon < point) {
        bool fits = is_digit(text[0]) && only(text.substr(0, colon), kDecimal) &&
                    is_sexagesimal_tail(text.substr(colon, point - colon)) &&
                    only(text.substr(point + 1), kDecimal);
        if (!fits) return std::nullopt;
        value = sexagesimal(without_underscores(text));
    } else if (is_point_real(text, has_sign)) {
        value = std::strtod(without_underscores(text).c_str(), nullptr);
    } else {
        return std::nullopt;
    }
    return Value(negative ? -value : value);
}

}  // namespace

Value resolve_yaml_scalar(std::string_view text) {
    if (one_of(text, kNull)) return {};
    if (one_of(text, kTrue)) return true;
    if (one_of(text, kFalse)) return false;
    bool has_sign = text[0] == '-' || text[0] == '+', negative = text[0] == '-';
    std::string_view magnitude = text.substr(has_sign ? 1 : 0);
    if (std::optional<Value> integer = integer_of(magnitude, negative)) return *integer;
    if (std::optional<Value> real = real_of(magnitude, has_sign, negative)) return *real;
    return text;
}

}  // namespace muster
