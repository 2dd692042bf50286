#include "lexer.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>

#include "../python_escape.h"
#include "../unicode_case.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/text/python_string.h"

namespace muster::jinja {

namespace {

/// Line breaks become \n; one at the very end goes unless it is to be kept.
std::string normalize(std::string_view source, bool keep_trailing_newline) {
    std::string out;
    out.reserve(source.size());
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (source[i] == '\r') {
            out += '\n';
            if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
        } else {
            out += source[i];
        }
    }
    if (!keep_trailing_newline && !out.empty() && out.back() == '\n') out.pop_back();
    return out;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_name_start(char32_t c) {
    return c == '_' || is_python_alpha(c);
}
bool is_name_part(char32_t c) {
    return c == '_' || is_python_alnum(c) || (c >= 0x80 && is_case_ignorable(c));
}

class Lexer {
 public:
    Lexer(std::string source, const std::string& place, const TemplateOptions& options)
        : source_(std::move(source)), text_(source_), place_(place), options_(options) {}

    std::vector<Token> run() {
        while (pos_ < text_.size()) lex_root();
        add(TokenKind::end, text_.size());
        return std::move(tokens_);
    }

 private:
    [[noreturn]] void fail(std::size_t at, std::string_view message) {
        fail_at(place_, position(at), message);
    }

    /// Offsets are asked for in rising order, so each byte is counted once.
    Position position(std::size_t at) {
        if (at < counted_) {
            counted_ = 0;
            here_ = {};
        }
        while (counted_ < at) {
            if (next_code_point(text_, counted_) == '\n') {
                ++here_.line;
                here_.column = 1;
            } else {
                ++here_.column;
            }
        }
        return here_;
    }

    void add(TokenKind kind, std::size_t at, std::string value = {}) {
        tokens_.push_back({kind, position(at), std::move(value)});
    }

    char peek(std::size_t ahead = 0) const {
        return pos_ + ahead < text_.size() ? text_[pos_ + ahead] : '\0';
    }
    bool starts(std::string_view what) const { return text_.substr(pos_).starts_with(what); }

    void skip_spaces() { pos_ = text_.size() - python_lstrip(text_.substr(pos_)).size(); }

    /// Moves past what was matched and remembers whether it ended a line.
    void consume(std::size_t to) {
        pos_ = to;
        line_starting_ = to > 0 && text_[to - 1] == '\n';
    }

    /// Data up to the next tag, then the tag's opening.
    void lex_root() {
        std::size_t open = pos_;
        for (;; ++open) {
            open = text_.find('{', open);
            if (open == std::string_view::npos || open + 1 >= text_.size()) {
                add(TokenKind::data, pos_, std::string(text_.substr(pos_)));
                pos_ = text_.size();
                return;
            }
            const char next = text_[open + 1];
            if (next == '%' || next == '{' || next == '#') break;
        }
        const char kind = text_[open + 1];
        const char sign = open + 2 < text_.size() ? text_[open + 2] : '\0';
        const bool has_sign = sign == '-' || sign == '+';
        add_data(text_.substr(pos_, open - pos_), has_sign ? sign : '\0', kind != '{');
        pos_ = open;
        if (kind == '%' && lex_raw()) return;
        consume(open + (has_sign ? 3 : 2));
        if (kind == '#') {
            lex_comment(open);
        } else {
            lex_tag(open, kind == '%');
        }
    }

    /// Data before a tag, with the tag's whitespace control applied.
    void add_data(std::string_view data, char sign, bool may_lstrip) {
        const std::size_t at = static_cast<std::size_t>(data.data() - text_.data());
        if (sign == '-') {
            data = python_rstrip(data);
        } else if (sign != '+' && options_.lstrip_blocks && may_lstrip) {
            const std::size_t line = data.rfind('\n') + 1;  // npos + 1 = 0
            if ((line > 0 || line_starting_) && python_lstrip(data.substr(line)).empty())
                data = data.substr(0, line);
        }
        if (!data.empty()) add(TokenKind::data, at, std::string(data));
    }

    /// The end of a comment or block at `at`, where "-" or "+" may stand: moves past it and what it
    /// trims.
    void consume_end(std::size_t at) {
        const char sign = text_[at];
        pos_ = at + (sign == '-' || sign == '+' ? 3 : 2);
        if (sign == '-') {
            skip_spaces();
        } else if (sign != '+' && options_.trim_blocks && peek() == '\n') {
            ++pos_;
        }
        consume(pos_);
    }

    void lex_comment(std::size_t open) {
        std::size_t end = text_.find("#}", pos_);
        if (end == std::string_view::npos) fail(open, "a comment without an end; expected #}");
        if (end > pos_ && (text_[end - 1] == '-' || text_[end - 1] == '+')) --end;
        consume_end(end);
    }

    /// If a tag `{% word %}` stands at `at`, its sign in `sign` and the offset of its end mark.
    bool find_word_tag(std::size_t at, std::string_view word, char& sign, std::size_t& end) const {
        std::size_t p = at + 2;
        sign = p < text_.size() && (text_[p] == '-' || text_[p] == '+') ? text_[p] : '\0';
        if (sign) ++p;
        const auto skip = [&] { p = text_.size() - python_lstrip(text_.substr(p)).size(); };
        if (p > text_.size()) return false;
        skip();
        if (!text_.substr(p).starts_with(word)) return false;
        p += word.size();
        skip();
        end = p;
        const std::string_view rest = text_.substr(p);
        return rest.starts_with("%}") || rest.starts_with("-%}") ||
               (word == "endraw" && rest.starts_with("+%}"));
    }

    /// {% raw %} … {% endraw %} at the current place.
    bool lex_raw() {
        char sign = 0;
        std::size_t end = 0;
        const std::size_t open = pos_;
        if (!find_word_tag(pos_, "raw", sign, end)) return false;
        pos_ = end + (text_[end] == '-' ? 3 : 2);
        if (text_[end] == '-') skip_spaces();
        consume(pos_);
        for (std::size_t close = text_.find("{%", pos_); close != std::string_view::npos;
             close = text_.find("{%", close + 1)) {
            if (!find_word_tag(close, "endraw", sign, end)) continue;
            add_data(text_.substr(pos_, close - pos_), sign, true);
            consume_end(end);
            return true;
        }
        fail(open, "a raw block without an end; expected {% endraw %}");
    }

    void lex_tag(std::size_t open, bool block) {
        add(block ? TokenKind::block_begin : TokenKind::variable_begin, open);
        std::vector<char> brackets;
        const std::string_view close = block ? "%}" : "}}";
        while (pos_ < text_.size()) {
            if (brackets.empty()) {
                const std::size_t at = pos_;
                const std::size_t mark = peek() == '-' || (block && peek() == '+') ? 1 : 0;
                if (text_.substr(at + mark).starts_with(close)) {
                    add(block ? TokenKind::block_end : TokenKind::variable_end, at);
                    end_tag(at, block);
                    return;
                }
            }
            if (!lex_blank()) lex_inside(brackets);
        }
    }

    void end_tag(std::size_t at, bool block) {
        if (block) {
            consume_end(at);
        } else {
            pos_ = at + (text_[at] == '-' ? 3 : 2);
            if (text_[at] == '-') skip_spaces();
            consume(pos_);
        }
    }

    bool lex_blank() {
        const std::size_t before = pos_;
        skip_spaces();
        return pos_ > before;
    }

    void lex_inside(std::vector<char>& brackets) {
        const char c = peek();
        if (is_digit(c)) {
            lex_number();
        } else if (c == '\'' || c == '"') {
            lex_string();
        } else {
            std::size_t end = pos_;
            if (is_name_start(next_code_point(text_, end))) {
                lex_name();
            } else {
                lex_operator(brackets);
            }
        }
    }

    void lex_name() {
        const std::size_t begin = pos_;
        for (std::size_t end = pos_; end < text_.size(); pos_ = end) {
            if (!is_name_part(next_code_point(text_, end))) break;
        }
        add(TokenKind::name, begin, std::string(text_.substr(begin, pos_ - begin)));
    }

    /// Digits with single underscores between them.
    void skip_digits() {
        while (is_digit(peek()) || (peek() == '_' && is_digit(peek(1)))) ++pos_;
    }

    void lex_number() {
        const std::size_t begin = pos_;
        if (peek() == '0' && std::string_view("xXoObB").find(peek(1)) != std::string_view::npos &&
            peek(1)) {
            lex_based_integer();
            return;
        }
        skip_digits();
        bool real = false;
        const bool after_dot = begin > 0 && text_[begin - 1] == '.';
        if (!after_dot && peek() == '.' && is_digit(peek(1))) {
            real = true;
            ++pos_;
            skip_digits();
        }
        const std::size_t sign = peek(1) == '+' || peek(1) == '-' ? 2 : 1;
        if (!after_dot && (peek() == 'e' || peek() == 'E') && is_digit(peek(sign))) {
            real = true;
            pos_ += sign;
            skip_digits();
        }
        std::string digits;
        for (const char c : text_.substr(begin, pos_ - begin)) {
            if (c != '_') digits += c;
        }
        if (real) {
            add(TokenKind::real, begin);
            tokens_.back().real = std::strtod(digits.c_str(), nullptr);
        } else {
            if (digits.size() > 1 && digits[0] == '0' &&
                digits.find_first_not_of('0') != std::string::npos) {
                fail(begin, "a number with a leading zero");
            }
            add_integer(begin, digits, 10);
        }
    }

    void lex_based_integer() {
        const std::size_t begin = pos_;
        const char mark = static_cast<char>(peek(1) | 0x20);
        const int base = mark == 'x' ? 16 : mark == 'o' ? 8 : 2;
        pos_ += 2;
        std::string digits;
        for (; std::isxdigit(static_cast<unsigned char>(peek())) || peek() == '_'; ++pos_) {
            if (peek() != '_') digits += peek();
        }
        add_integer(begin, digits, base);
    }

    void add_integer(std::size_t begin, const std::string& digits, int base) {
        std::int64_t value = 0;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
        if (error == std::errc::result_out_of_range) fail(begin, "an integer beyond 64 bits");
        if (error != std::errc{} || end != digits.data() + digits.size())
            fail(begin, "a malformed number");
        add(TokenKind::integer, begin);
        tokens_.back().integer = value;
    }

    void lex_string() {
        const std::size_t begin = pos_;
        const char quote = peek();
        std::size_t end = begin + 1;
        while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
        if (end >= text_.size()) fail(begin, cat("a string without an end; expected ", quote));
        try {
            add(TokenKind::text, begin,
                decode_python_escapes(text_.substr(begin + 1, end - begin - 1)));
        } catch (const UserError& error) {
            fail(begin, error.what());
        }
        pos_ = end + 1;
    }

    void lex_operator(std::vector<char>& brackets) {
        static constexpr std::array<std::string_view, 26> kOperators = {
            "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
            "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
        for (const std::string_view op : kOperators) {
            if (!starts(op)) continue;
            balance(op, brackets);
            add(TokenKind::op, pos_, std::string(op));
            pos_ += op.size();
            return;
        }
        std::size_t end = pos_;
        next_code_point(text_, end);
        fail(pos_,
             cat("unexpected character ", python_string_repr(text_.substr(pos_, end - pos_))));
    }

    void balance(std::string_view op, std::vector<char>& brackets) {
        if (op == "{") brackets.push_back('}');
        if (op == "(") brackets.push_back(')');
        if (op == "[") brackets.push_back(']');
        if (op != "}" && op != ")" && op != "]") return;
        if (brackets.empty()) fail(pos_, cat("unexpected '", op, "'"));
        if (brackets.back() != op[0])
            fail(pos_, cat("unexpected '", op, "', expected '", brackets.back(), "'"));
        brackets.pop_back();
    }

    const std::string source_;
    const std::string_view text_;
    const std::string& place_;
    const TemplateOptions& options_;
    std::vector<Token> tokens_;
    std::size_t pos_ = 0;
    bool line_starting_ = true;
    std::size_t counted_ = 0;
    Position here_;
};

}  // namespace

void fail_at(const std::string& place, Position position, std::string_view message) {
    throw UserError(cat(place, ":", position.line, ":", position.column, ": ", message));
}

std::vector<Token> tokenize(std::string_view source, const std::string& place,
                            const TemplateOptions& options) {
    return Lexer(normalize(source, options.keep_trailing_newline), place, options).run();
}

}  // namespace muster::jinja
