// Known differences that remain: Python's \B does not match in an empty string and PCRE2's does;
// case folding of one character to several (ß ~ ss in Oniguruma) does not exist in PCRE2.

#include "regex_translate.h"

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"

namespace muster {

std::string translate_pattern(std::string_view pattern, Regex::Dialect dialect) {
    return PatternTranslator(pattern, dialect).run();
}

PatternTranslator::PatternTranslator(std::string_view pattern, Regex::Dialect dialect)
    : in_(pattern), dialect_(dialect) {
    if (!is_valid_utf8(pattern)) fail("the pattern is not valid UTF-8");
}

void PatternTranslator::fail(const std::string& fact) const {
    throw UserError(
        cat("regular expression \"", replace_invalid_utf8(in_), "\": offset ", pos_, ": ", fact));
}

std::string PatternTranslator::run() {
    while (!at_end()) {
        const char c = peek();
        if (c == '\\') {
            escape();
        } else if (c == '[') {
            atom_begin_ = out_.size();
            out_ += read_class();
        } else if (c == '(') {
            open_group();
        } else if (c == ')') {
            close_group();
        } else if (c == '*' || c == '+' || c == '?' || c == '{') {
            quantifier();
        } else if (extended_ && c == '#') {
            while (!at_end() && peek() != '\n') pos_++;
        } else {
            literal();
        }
    }
    return std::move(out_);
}

void PatternTranslator::literal() {
    atom_begin_ = out_.size();
    const std::size_t begin = pos_;
    next_code_point(in_, pos_);
    out_ += in_.substr(begin, pos_ - begin);
}

/// A quantifier with its suffix. `{n,m}` without digits is literal text; `{,m}` counts from zero.
void PatternTranslator::quantifier() {
    std::string counts(1, peek());
    std::size_t length = 1;
    if (peek() == '{') {
        std::string numbers[2];
        int part = 0;
        for (; peek(length) != '\0' && peek(length) != '}'; length++) {
            const char c = peek(length);
            if (c == ',' && part == 0) {
                part = 1;
            } else if (c >= '0' && c <= '9') {
                numbers[part] += c;
            } else {
                break;
            }
        }
        const bool well_formed = peek(length) == '}' && (!numbers[0].empty() || part == 1) &&
                                 (python() || !numbers[0].empty() || !numbers[1].empty());
        if (!well_formed) {
            atom_begin_ = out_.size();
            out_ += "\\{";
            pos_++;
            return;
        }
        length++;
        counts =
            cat("{", numbers[0].empty() ? "0" : numbers[0], part == 1 ? "," : "", numbers[1], "}");
    }
    pos_ += length;
    const bool interval = counts.front() == '{';
    // Ruby's {n,m}+ is a repeated interval, not a possessive one.
    if (!python() && interval && (peek() == '+' || peek() == '*')) {
        out_.insert(atom_begin_, "(?:");
        out_ += cat(counts, ")");
        return;
    }
    out_ += counts;
    if (peek() == '?' || peek() == '+') {
        out_ += peek();
        pos_++;
    }
}

void PatternTranslator::open_group() {
    groups_.push_back({out_.size(), extended_, ascii_});
    if (peek(1) == '*') fail("nothing to repeat");
    if (peek(1) == '?') {
        open_special_group();
    } else {
        out_ += "(";
        pos_++;
    }
}

void PatternTranslator::open_special_group() {
    static constexpr std::string_view kPlain[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
    for (std::string_view opening : kPlain) {
        if (looking_at(opening)) {
            out_ += opening;
            pos_ += opening.size();
            return;
        }
    }
    if (looking_at("(?#")) {
        groups_.pop_back();
        read_until(')');
    } else if (python() && looking_at("(?P=")) {
        groups_.pop_back();
        atom_begin_ = out_.size();
        pos_ += 4;
        out_ += cat("\\k{", read_until(')'), "}");
    } else if (looking_at(python() ? "(?P<" : "(?<")) {
        pos_ += python() ? 4 : 3;
        out_ += cat("(?<", read_until('>'), ">");
    } else if (python() && looking_at("(?(")) {
        pos_ += 3;
        const std::string_view condition = read_until(')');
        const bool number = condition.find_first_not_of("0123456789") == condition.npos;
        out_ += number ? cat("(?(", condition, ")") : cat("(?(<", condition, ">)");
    } else {
        inline_flags();
    }
}

/// (?i) and (?i:...). Ruby's m is PCRE2's s; Python's a and u have no counterpart and are applied
/// here.
void PatternTranslator::inline_flags() {
    const std::string_view known = python() ? "aimsux" : "imx";
    std::size_t length = 2;
    std::string flags;
    bool on = true, extended = extended_, ascii = ascii_;
    for (; peek(length) != ')' && peek(length) != ':'; length++) {
        const char flag = peek(length);
        if (flag == '-' && on) {
            on = false;
            flags += '-';
        } else if (flag != '\0' && known.find(flag) != known.npos) {
            if (flag == 'x') extended = on;
            if (flag == 'a') ascii = on;
            if (flag != 'a' && flag != 'u') flags += (!python() && flag == 'm') ? 's' : flag;
        } else {
            fail(cat("unknown group \"", in_.substr(pos_, length + 1), "\""));
        }
    }
    const char end = peek(length);
    pos_ += length + 1;
    out_ += cat("(?", flags, std::string(1, end));
    if (end == ')') groups_.pop_back();
    extended_ = extended;
    ascii_ = ascii;
}

void PatternTranslator::close_group() {
    if (groups_.empty()) fail("unbalanced parenthesis");
    atom_begin_ = groups_.back().begin;
    extended_ = groups_.back().extended;
    ascii_ = groups_.back().ascii;
    groups_.pop_back();
    out_ += ")";
    pos_++;
}

void PatternTranslator::escape() {
    const char c = peek(1);
    if (c == '\0' && pos_ + 1 >= in_.size()) fail("the pattern ends in a backslash");
    const std::size_t begin = out_.size();
    const bool octal = c == '0' || (peek(1) >= '0' && peek(1) <= '3' && peek(2) >= '0' &&
                                    peek(2) <= '7' && peek(3) >= '0' && peek(3) <= '7');
    if (c >= '1' && c <= '9' && !octal) {
        std::string number(1, c);
        if (peek(2) >= '0' && peek(2) <= '9') number += peek(2);
        out_ += cat("\\g{", number, "}");
        pos_ += 1 + number.size();
    } else if (c == 'b' || c == 'B') {
        emit_word_boundary(c == 'B');
        pos_ += 2;
    } else if (c == 'A' || (c == 'Z' && python()) || c == 'z') {
        out_ += c == 'A' ? "\\A" : "\\z";
        pos_ += 2;
    } else if (!python() && (c == 'Z' || c == 'G' || c == 'K' || c == 'X')) {
        out_ += in_.substr(pos_, 2);
        pos_ += 2;
    } else if (!python() && c == 'R') {
        out_ += "(?>\\x0d\\x0a|[\\x0a-\\x0d\\x{85}\\x{2028}\\x{2029}])";
        pos_ += 2;
    } else if (!python() && c == 'k' && peek(2) == '<') {
        pos_ += 3;
        out_ += cat("\\k{", read_until('>'), "}");
    } else {
        emit_atom(read_escape(false));
    }
    atom_begin_ = begin;
}

void PatternTranslator::emit_atom(const Atom& atom) {
    if (atom.set.empty()) {
        out_ += hex_character(atom.character);
    } else {
        out_ += cat(atom.negated ? "[^" : "[", atom.set, "]");
    }
}

void PatternTranslator::emit_word_boundary(bool negated) {
    const std::string word = cat("[", set_atom('w').set, "]");
    const std::string_view inside = negated ? "(?=" : "(?!", outside = negated ? "(?!" : "(?=";
    out_ += cat("(?:(?<=", word, ")", inside, word, ")|(?<!", word, ")", outside, word, "))");
}

std::string_view PatternTranslator::read_until(char end) {
    const std::size_t close = in_.find(end, pos_);
    if (close == in_.npos) fail(cat("missing \"", std::string(1, end), "\""));
    const std::string_view inside = in_.substr(pos_, close - pos_);
    pos_ = close + 1;
    return inside;
}

}  // namespace muster
