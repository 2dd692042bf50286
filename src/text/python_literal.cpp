#include <cctype>
#include <charconv>
#include <cstdlib>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/text/python_string.h"
#include "python_escape.h"

// ast.literal_eval: a recursive-descent parser for Python's literal displays. Complex numbers,
// bytes and sets have no Value and are refused.

namespace muster {

namespace {

constexpr int kMaxDepth = 200;

class LiteralParser {
 public:
    explicit LiteralParser(std::string_view text) : text_(text) {}

    Value parse() {
        while (pos_ < text_.size() && (text_[pos_] == ' ' || text_[pos_] == '\t')) ++pos_;
        // Outside of brackets a line break ends the expression, so only trailing ones are skipped.
        Value first = parse_item();
        skip_blanks(false);
        if (peek() == ',') first = parse_open_tuple(std::move(first));
        skip_blanks(true);
        if (pos_ < text_.size()) fail("text after the value");
        return first;
    }

 private:
    [[noreturn]] void fail(const std::string& what) const {
        throw UserError(cat("not a Python literal at byte ", pos_, ": ", what,
                            "; expected a string, number, True, False, None, list, tuple or dict"));
    }

    char peek(std::size_t ahead = 0) const {
        return pos_ + ahead < text_.size() ? text_[pos_ + ahead] : '\0';
    }

    void skip_blanks(bool newlines) {
        for (; pos_ < text_.size(); ++pos_) {
            const char c = text_[pos_];
            if (c == '#') {
                while (pos_ + 1 < text_.size() && text_[pos_ + 1] != '\n') ++pos_;
            } else if (c == '\\' && peek(1) == '\n') {
                ++pos_;
            } else if (c != ' ' && c != '\t' && c != '\f' &&
                       !(newlines && (c == '\n' || c == '\r'))) {
                break;
            }
        }
    }

    Value parse_item() {
        if (++depth_ > kMaxDepth) fail(cat("more than ", kMaxDepth, " levels"));
        skip_blanks(depth_ > 1);
        Value value = parse_any();
        --depth_;
        return value;
    }

    Value parse_any() {
        const char c = peek();
        if (c == '[') return parse_list();
        if (c == '(') return parse_parentheses();
        if (c == '{') return parse_dict();
        if (at_string()) return parse_strings();
        if (c == '+' || c == '-' || c == '.' || (c >= '0' && c <= '9')) return parse_signed();
        return parse_word();
    }

    Value parse_list() {
        ++pos_;
        Array items;
        parse_rest(items, ']');
        return Value(std::move(items));
    }

    /// `(1)` is 1; `()`, `(1,)` and `(1, 2)` are tuples.
    Value parse_parentheses() {
        ++pos_;
        skip_blanks(true);
        if (peek() == ')') {
            ++pos_;
            return Value(Array{});
        }
        Value first = parse_item();
        skip_blanks(true);
        if (peek() == ')') {
            ++pos_;
            return first;
        }
        Array items;
        items.push_back(std::move(first));
        if (peek() != ',') fail("no ',' or ')' after an element");
        ++pos_;
        parse_rest(items, ')');
        return Value(std::move(items));
    }

    Value parse_open_tuple(Value first) {
        Array items;
        items.push_back(std::move(first));
        while (peek() == ',') {
            ++pos_;
            skip_blanks(false);
            if (pos_ == text_.size() || peek() == '\n' || peek() == '\r') break;
            items.push_back(parse_item());
            skip_blanks(false);
        }
        return Value(std::move(items));
    }

    void parse_rest(Array& items, char close) {
        skip_blanks(true);
        while (peek() != close) {
            items.push_back(parse_item());
            skip_blanks(true);
            if (peek() == close) break;
            if (peek() != ',') fail(cat("no ',' or '", close, "' after an element"));
            ++pos_;
            skip_blanks(true);
        }
        ++pos_;
    }

    Value parse_dict() {
        ++pos_;
        Object members;
        skip_blanks(true);
        while (peek() != '}') {
            Value key = parse_item();
            skip_blanks(true);
            if (peek() != ':') fail("no ':' after a key (sets are not supported)");
            if (!key.is_string()) fail("a key that is not a string");
            ++pos_;
            members.set(key.as_string(), parse_item());
            skip_blanks(true);
            if (peek() == '}') break;
            if (peek() != ',') fail("no ',' or '}' after a member");
            ++pos_;
            skip_blanks(true);
        }
        ++pos_;
        return Value(std::move(members));
    }

    /// One string literal or several side by side, each with its own prefix.
    Value parse_strings() {
        std::string out;
        std::size_t end = pos_;
        while (at_string()) {
            const bool raw = peek() == 'r' || peek() == 'R';
            if (is_prefix(peek())) ++pos_;
            out += parse_string(raw);
            end = pos_;
            skip_blanks(depth_ > 1);
        }
        pos_ = end;
        return Value(std::move(out));
    }

    static bool is_quote(char c) { return c == '\'' || c == '"'; }
    bool at_string() const { return is_quote(peek()) || (is_prefix(peek()) && is_quote(peek(1))); }
    static bool is_prefix(char c) { return c == 'r' || c == 'R' || c == 'u' || c == 'U'; }

    std::string parse_string(bool raw) {
        const char quote = peek();
        const bool triple = peek(1) == quote && peek(2) == quote;
        pos_ += triple ? 3 : 1;
        const std::size_t begin = pos_;
        for (;; ++pos_) {
            if (pos_ >= text_.size()) fail("a string without an end");
            if (text_[pos_] == '\\') {
                ++pos_;
            } else if (text_[pos_] == quote &&
                       (!triple || (peek(1) == quote && peek(2) == quote))) {
                break;
            } else if (text_[pos_] == '\n' && !triple) {
                fail("a line break inside a string");
            }
        }
        const std::string_view body = text_.substr(begin, pos_ - begin);
        pos_ += triple ? 3 : 1;
        if (raw) return std::string(body);
        try {
            return decode_python_escapes(body);
        } catch (const UserError& error) {
            fail(error.what());
        }
    }

    Value parse_signed() {
        const bool negative = peek() == '-';
        if (negative || peek() == '+') ++pos_;
        skip_blanks(depth_ > 1);
        return parse_number(negative);
    }

    Value parse_number(bool negative) {
        std::string digits;
        const int base = peek() != '0' ? 10 : base_of(peek(1));
        if (base != 10) pos_ += 2;
        bool real = false;
        const std::size_t begin = pos_;
        for (; pos_ < text_.size(); ++pos_) {
            const char c = text_[pos_];
            if (c == '_' && pos_ > begin && std::isxdigit(static_cast<unsigned char>(peek(1))))
                continue;
            const bool exponent = base == 10 && (c == 'e' || c == 'E');
            const bool sign =
                (c == '+' || c == '-') && real && (digits.back() == 'e' || digits.back() == 'E');
            if (base == 10
                    ? !(c == '.' || exponent || sign || std::isdigit(static_cast<unsigned char>(c)))
                    : !std::isxdigit(static_cast<unsigned char>(c))) {
                break;
            }
            real = real || exponent || (base == 10 && c == '.');
            digits += c;
        }
        if (!real && base == 10 && digits.size() > 1 && digits[0] == '0' &&
            digits.find_first_not_of('0') != std::string::npos) {
            fail("a number with a leading zero");
        }
        return real ? real_value(digits, negative) : integer_value(digits, base, negative);
    }

    static int base_of(char c) {
        switch (c) {
            case 'x':
            case 'X':
                return 16;
            case 'o':
            case 'O':
                return 8;
            case 'b':
            case 'B':
                return 2;
            default:
                return 10;
        }
    }

    Value real_value(const std::string& digits, bool negative) const {
        double value = 0;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (end != digits.data() + digits.size() || error == std::errc::invalid_argument)
            fail("a malformed number");
        if (error == std::errc::result_out_of_range) value = std::strtod(digits.c_str(), nullptr);
        return Value(negative ? -value : value);
    }

    /// Integers beyond 64 bits become reals, as parse_json has it.
    Value integer_value(const std::string& digits, int base, bool negative) const {
        const std::string text = (negative ? "-" : "") + digits;
        std::int64_t value = 0;
        const auto [end, error] =
            std::from_chars(text.data(), text.data() + text.size(), value, base);
        if (digits.empty() || end != text.data() + text.size()) fail("a malformed number");
        if (error == std::errc{}) return Value(value);
        if (base != 10) fail("an integer beyond 64 bits");
        return real_value(digits, negative);
    }

    Value parse_word() {
        const std::size_t begin = pos_;
        while (std::isalnum(static_cast<unsigned char>(peek())) || peek() == '_') ++pos_;
        const std::string_view word = text_.substr(begin, pos_ - begin);
        if (word == "None") return Value();
        if (word == "True") return Value(true);
        if (word == "False") return Value(false);
        pos_ = begin;
        fail(word.empty() ? "an unexpected character or the end" : cat("the name ", word));
    }

    std::string_view text_;
    std::size_t pos_ = 0;
    int depth_ = 0;
};

}  // namespace

Value python_literal(std::string_view text) {
    return LiteralParser(text).parse();
}

}  // namespace muster
