// Python's re.sub templates: \1, \g<1>, \g<name>, \n and octal escapes.
// Source: CPython 3.11 Lib/re/_parser.py, parse_template.

#include <utility>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/text/regex.h"

namespace muster {
namespace {

/// Literal text, then group `group` if it is not negative.
struct Piece {
    std::string literal;
    int group = -1;
};

class TemplateParser {
 public:
    TemplateParser(const Regex& regex, std::string_view in) : regex_(regex), in_(in) {}

    std::vector<Piece> run() {
        while (pos_ < in_.size()) {
            if (in_[pos_] == '\\') {
                pos_++;
                escape();
            } else {
                literal_ += in_[pos_++];
            }
        }
        pieces_.push_back({std::move(literal_), -1});
        return std::move(pieces_);
    }

 private:
    [[noreturn]] void fail(const std::string& fact) const {
        throw UserError(cat("replacement \"", in_, "\": offset ", pos_, ": ", fact));
    }
    char peek(std::size_t ahead = 0) const {
        return pos_ + ahead < in_.size() ? in_[pos_ + ahead] : '\0';
    }
    static bool digit(char c) { return c >= '0' && c <= '9'; }
    static bool octal(char c) { return c >= '0' && c <= '7'; }

    void group(int number) {
        if (number < 0 || number > regex_.num_groups()) fail("invalid group reference");
        pieces_.push_back({std::move(literal_), number});
        literal_.clear();
    }

    void octal_escape(std::size_t digits) {
        int value = 0;
        for (std::size_t i = 0; i < digits; i++) value = value * 8 + (in_[pos_++] - '0');
        if (value > 0377) fail("octal escape above \\377");
        append_utf8(literal_, static_cast<char32_t>(value));
    }

    void named_group() {
        const std::size_t close = in_.find('>', pos_);
        if (peek() != '<' || close == in_.npos) fail("expected \\g<name>");
        const std::string name(in_.substr(pos_ + 1, close - pos_ - 1));
        const bool number = !name.empty() && name.find_first_not_of("0123456789") == name.npos;
        if (number && name.size() > 4) fail("invalid group reference");
        const int index = number ? std::stoi(name) : regex_.group_number(name);
        if (index < 0) fail(cat("unknown group name \"", name, "\""));
        pos_ = close + 1;
        group(index);
    }

    void escape() {
        const char c = peek();
        if (pos_ >= in_.size()) fail("the replacement ends in a backslash");
        if (c == '0') {
            octal_escape(octal(peek(1)) ? (octal(peek(2)) ? 3 : 2) : 1);
        } else if (digit(c)) {
            if (octal(c) && octal(peek(1)) && octal(peek(2))) return octal_escape(3);
            int number = c - '0';
            pos_++;
            if (digit(peek())) number = number * 10 + (in_[pos_++] - '0');
            group(number);
        } else if (c == 'g') {
            pos_++;
            named_group();
        } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
            static constexpr std::pair<char, char> kKnown[] = {
                {'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'a', '\a'},
                {'f', '\f'}, {'v', '\v'}, {'b', '\b'}};
            for (const auto& [name, value] : kKnown) {
                if (c != name) continue;
                literal_ += value;
                pos_++;
                return;
            }
            fail(cat("bad escape \"\\", std::string(1, c), "\""));
        } else {
            if (c != '\\') literal_ += '\\';
            literal_ += c;
            pos_++;
        }
    }

    const Regex& regex_;
    std::string_view in_;
    std::size_t pos_ = 0;
    std::string literal_;
    std::vector<Piece> pieces_;
};

}  // namespace

std::string Regex::replace(std::string_view text, std::string_view replacement) const {
    const std::vector<Piece> pieces = TemplateParser(*this, replacement).run();
    std::string out;
    std::size_t from = 0;
    for (const Match& match : find_all(text)) {
        out += text.substr(from, match[0].begin - from);
        for (const Piece& piece : pieces) {
            out += piece.literal;
            if (piece.group < 0) continue;
            const Span& span = match[static_cast<std::size_t>(piece.group)];
            if (span.matched()) out += text.substr(span.begin, span.end - span.begin);
        }
        from = match[0].end;
    }
    out += text.substr(from);
    return out;
}

}  // namespace muster
