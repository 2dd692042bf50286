#include "python_json.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace muster {

namespace {

// The code unit of the escape `\uXXXX` at `pos`, if there is a complete one.
std::optional<unsigned> escaped_unit(std::string_view text, std::size_t pos) {
    if (pos + 6 > text.size() || text[pos] != '\\' || text[pos + 1] != 'u') return std::nullopt;
    unsigned unit = 0;
    const char* end = text.data() + pos + 6;
    auto [stop, error] = std::from_chars(text.data() + pos + 2, end, unit, 16);
    if (error != std::errc() || stop != end) return std::nullopt;
    return unit;
}

bool is_number_char(char c) {
    return (c >= '0' && c <= '9') || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

// True if `number` is well-formed and beyond the largest double.
bool overflows(std::string_view number) {
    double value = 0;
    const char* end = number.data() + number.size();
    auto [stop, error] = std::from_chars(number.data(), end, value);
    if (error != std::errc::result_out_of_range || stop != end) return false;
    // Out of range may also mean too small: a negative exponent, or zeros behind the point.
    std::size_t exponent = number.find_first_of("eE");
    if (exponent != number.npos) return number[exponent + 1] != '-';
    return number.find_first_of("123456789") < number.find('.');
}

class Rewriter {
 public:
    explicit Rewriter(std::string_view text) : text_(text) {}

    StrictJson run() {
        while (pos_ < text_.size()) {
            if (text_[pos_] == '"')
                string();
            else if (word("NaN") && before() != '-')
                replace(3, kNanToken);
            else if (word("Infinity"))
                replace(8, kInfinityToken);
            else if (text_[pos_] >= '0' && text_[pos_] <= '9')
                number();
            else
                copy(1);
        }
        return std::move(out_);
    }

 private:
    char before() const { return pos_ > 0 ? text_[pos_ - 1] : ' '; }
    // True if `name` stands here and does not run into a number or another word.
    bool word(std::string_view name) const {
        std::size_t end = pos_ + name.size();
        if (text_.substr(pos_, name.size()) != name) return false;
        char after = end < text_.size() ? text_[end] : ' ';
        return !is_number_char(after) && (before() == '-' || !is_number_char(before()));
    }
    void copy(std::size_t count) {
        out_.text += text_.substr(pos_, count);
        pos_ = std::min(pos_ + count, text_.size());
    }
    void replace(std::size_t count, std::string_view with) {
        out_.text += with;
        pos_ += count;
        out_.resume.emplace_back(out_.text.size(), pos_);
    }
    void number() {
        std::size_t end = pos_;
        while (end < text_.size() && is_number_char(text_[end])) ++end;
        if (overflows(text_.substr(pos_, end - pos_)))
            replace(end - pos_, kInfinityToken);
        else
            copy(end - pos_);
    }
    void string() {
        copy(1);
        while (pos_ < text_.size() && text_[pos_] != '"') {
            if (text_[pos_] == '\\')
                escape();
            else
                copy(1);
        }
        copy(1);
    }
    void escape() {
        std::optional<unsigned> unit = escaped_unit(text_, pos_);
        if (!unit) return copy(2);
        bool high = *unit >= 0xD800 && *unit < 0xDC00, low = *unit >= 0xDC00 && *unit < 0xE000;
        std::optional<unsigned> next = escaped_unit(text_, pos_ + 6);
        if (high && next && *next >= 0xDC00 && *next < 0xE000)
            copy(12);
        else if (high || low)
            replace(6, "\\ufffd");
        else
            copy(6);
    }

    std::string_view text_;
    std::size_t pos_ = 0;
    StrictJson out_;
};

}  // namespace

std::size_t StrictJson::original_offset(std::size_t offset) const {
    std::size_t here = 0, there = 0;
    for (const auto& [rewritten, original] : resume) {
        if (rewritten > offset) break;
        here = rewritten;
        there = original;
    }
    return there + (offset - here);
}

StrictJson make_strict(std::string_view text) {
    return Rewriter(text).run();
}

}  // namespace muster
