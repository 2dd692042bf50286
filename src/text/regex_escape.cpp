// Escapes that stand for one character, inside and outside of classes, and Unicode properties.

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "regex_translate.h"

namespace muster {
namespace {

// Unicode White_Space; Python's str.isspace() has the four information separators as well.
constexpr std::string_view kSpace =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{"
    "205f}\\x{3000}";
constexpr std::string_view kPythonOnlySpace = "\\x{1c}-\\x{1f}";

struct NamedSet {
    std::string_view name, set;
};
/// Names of Oniguruma (lower case, without blanks, - and _) whose PCRE2 spelling differs.
constexpr NamedSet kSets[] = {
    {"alnum", "\\p{Alphabetic}\\p{Nd}"},
    {"alpha", "\\p{Alphabetic}"},
    {"blank", "\\p{Zs}\\x{9}"},
    {"cntrl", "\\p{Cc}"},
    {"digit", "\\p{Nd}"},
    {"lower", "\\p{Lowercase}"},
    {"punct", "\\p{P}\\x{24}\\x{2b}\\x{3c}-\\x{3e}\\x{5e}\\x{60}\\x{7c}\\x{7e}"},
    {"space", kSpace},
    {"upper", "\\p{Uppercase}"},
    {"xdigit", "0-9A-Fa-f"},
    {"word", "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"},
    {"ascii", "\\x{0}-\\x{7f}"},
    {"any", "\\p{Any}"},
    {"letter", "\\p{L}"},
    {"uppercaseletter", "\\p{Lu}"},
    {"lowercaseletter", "\\p{Ll}"},
    {"titlecaseletter", "\\p{Lt}"},
    {"modifierletter", "\\p{Lm}"},
    {"otherletter", "\\p{Lo}"},
    {"mark", "\\p{M}"},
    {"nonspacingmark", "\\p{Mn}"},
    {"spacingmark", "\\p{Mc}"},
    {"enclosingmark", "\\p{Me}"},
    {"number", "\\p{N}"},
    {"decimalnumber", "\\p{Nd}"},
    {"letternumber", "\\p{Nl}"},
    {"othernumber", "\\p{No}"},
    {"punctuation", "\\p{P}"},
    {"symbol", "\\p{S}"},
    {"separator", "\\p{Z}"},
    {"other", "\\p{C}"},
    {"control", "\\p{Cc}"},
    {"format", "\\p{Cf}"},
};

bool compiles(const std::string& pattern) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                     PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
    pcre2_code_free(code);
    return code != nullptr;
}

}  // namespace

std::string hex_character(char32_t code_point) {
    std::array<char, 16> text;
    std::snprintf(text.data(), text.size(), "\\x{%x}", static_cast<unsigned>(code_point));
    return text.data();
}

std::string property_set(std::string_view name) {
    std::string plain;
    for (char c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (c == ' ' || c == '-' || c == '_') continue;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '&')) return "";
        plain += c;
    }
    for (const NamedSet& known : kSets) {
        if (known.name == plain) return std::string(known.set);
    }
    // "sc:" since PCRE2 would otherwise match script extensions, which Oniguruma does not.
    for (const std::string& pattern : {cat("\\p{sc:", name, "}"), cat("\\p{", name, "}")}) {
        if (compiles(pattern)) return pattern;
    }
    if (plain.size() <= 2 && !plain.empty()) {  // Oniguruma does not care for case: \p{lu}
        plain[0] = static_cast<char>(plain[0] - 'a' + 'A');
        const std::string pattern = cat("\\p{", plain, "}");
        if (compiles(pattern)) return pattern;
    }
    return "";
}

PatternTranslator::Atom PatternTranslator::set_atom(char letter) const {
    const char lower = static_cast<char>(letter | 0x20);
    Atom atom;
    atom.negated = letter != lower;
    if (lower == 'h') {
        atom.set = "0-9A-Fa-f";
    } else if (lower == 'd') {
        atom.set = ascii_ ? "0-9" : "\\p{Nd}";
    } else if (lower == 'w') {
        atom.set = ascii_ ? "0-9A-Za-z_" : python() ? "\\p{L}\\p{N}_" : property_set("word");
    } else if (ascii_) {
        atom.set = "\\x{9}-\\x{d}\\x{20}";
    } else {
        atom.set = cat(kSpace, python() ? kPythonOnlySpace : "");
    }
    return atom;
}

/// Reads a backslash and what follows it.
PatternTranslator::Atom PatternTranslator::read_escape(bool in_class) {
    pos_++;
    if (at_end()) fail("the pattern ends in a backslash");
    const char c = peek();
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    Atom atom;
    if (!letter && !(c >= '0' && c <= '9')) {
        atom.character = next_code_point(in_, pos_);
        return atom;
    }
    if (c >= '0' && c <= '9') {
        if (c > '7') fail("bad escape");
        atom.character = read_octal(3);
        return atom;
    }
    pos_++;
    static constexpr std::pair<char, char32_t> kControls[] = {{'n', 10}, {'r', 13}, {'t', 9},
                                                              {'a', 7},  {'f', 12}, {'v', 11}};
    for (const auto& [name, code_point] : kControls) {
        if (c == name) {
            atom.character = code_point;
            return atom;
        }
    }
    switch (c) {
        case 'd':
        case 'D':
        case 's':
        case 'S':
        case 'w':
        case 'W':
            return set_atom(c);
        case 'x':
            if (!python() && peek() == '{') {
                pos_++;
                atom.character = read_hex(1, 6);
                if (peek() != '}') fail("missing }");
                pos_++;
            } else {
                atom.character = python() ? read_hex(2, 2) : read_hex(1, 2);
            }
            return atom;
        case 'u':
            atom.character = read_hex(4, 4);
            return atom;
        case 'b':
            if (!in_class) break;
            atom.character = 8;
            return atom;
        default:
            break;
    }
    if (python() && c == 'U') {
        atom.character = read_hex(8, 8);
        return atom;
    }
    if (!python() && (c == 'h' || c == 'H')) return set_atom(c);
    if (!python() && (c == 'p' || c == 'P')) return read_property(c == 'P');
    if (!python() && c == 'e') {
        atom.character = 27;
        return atom;
    }
    pos_ -= 2;
    fail(cat("bad escape \"\\", std::string(1, c), "\""));
}

PatternTranslator::Atom PatternTranslator::read_property(bool negated) {
    Atom atom;
    atom.negated = negated;
    std::string_view name;
    if (peek() == '{') {
        pos_++;
        if (peek() == '^') {
            atom.negated = !atom.negated;
            pos_++;
        }
        name = read_until('}');
    } else {
        fail("expected { after \\p");
    }
    atom.set = property_set(name);
    if (atom.set.empty()) fail(cat("unknown character property \"", name, "\""));
    return atom;
}

char32_t PatternTranslator::read_hex(int min_digits, int max_digits) {
    std::uint64_t value = 0;
    int digits = 0;
    for (; digits < max_digits; digits++, pos_++) {
        const char c = peek();
        if (c >= '0' && c <= '9') {
            value = value * 16 + static_cast<unsigned>(c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            value = value * 16 + static_cast<unsigned>((c | 0x20) - 'a' + 10);
        } else {
            break;
        }
    }
    if (digits < min_digits) fail("incomplete hexadecimal escape");
    if (value > 0x10FFFF) fail("a code point lies above U+10FFFF");
    return static_cast<char32_t>(value);
}

char32_t PatternTranslator::read_octal(int max_digits) {
    char32_t value = 0;
    for (int i = 0; i < max_digits && peek() >= '0' && peek() <= '7'; i++, pos_++) {
        value = value * 8 + static_cast<char32_t>(peek() - '0');
    }
    return value;
}

}  // namespace muster
