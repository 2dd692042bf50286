#include "yaml_quoted.h"

#include <algorithm>
#include <charconv>

#include "muster/base/utf8.h"

namespace muster {

using namespace std::string_view_literals;

namespace {

constexpr std::string_view kBlanks = " \t", kBreaks = "\r\n";

class QuotedReader {
 public:
    QuotedReader(std::string_view text, std::size_t pos)
        : text_(text), pos_(pos + 1), quote_(text[pos]) {}

    std::optional<std::string> read() {
        while (pos_ < text_.size()) {
            char c = text_[pos_];
            if (quote_ == '\'' && text_.substr(pos_, 2) == "''") {
                out_ += '\'';
                pos_ += 2;
            } else if (c == quote_) {
                return std::move(out_);
            } else if (c == '\\' && quote_ == '"') {
                if (!escape()) return std::nullopt;
            } else if (is_in(c, kBlanks) || is_in(c, kBreaks)) {
                blanks();
            } else {
                out_ += c;
                ++pos_;
            }
        }
        return std::nullopt;
    }

 private:
    static bool is_in(char c, std::string_view set) { return set.find(c) != set.npos; }

    // Blanks around a line break vanish; one break is a space, each further one a line feed.
    void blanks() {
        std::size_t end = std::min(text_.find_first_not_of(kBlanks, pos_), text_.size());
        if (end == text_.size() || !is_in(text_[end], kBreaks)) {
            out_ += text_.substr(pos_, end - pos_);
            pos_ = end;
            return;
        }
        pos_ = end;
        line_break();
        if (!empty_lines()) out_ += ' ';
    }
    void line_break() { pos_ += text_.substr(pos_, 2) == "\r\n" ? 2 : 1; }
    bool empty_lines() {
        bool any = false;
        while (true) {
            pos_ = std::min(text_.find_first_not_of(kBlanks, pos_), text_.size());
            if (pos_ == text_.size() || !is_in(text_[pos_], kBreaks)) return any;
            line_break();
            out_ += '\n';
            any = true;
        }
    }

    bool escape() {
        static constexpr std::string_view kNames = "0abtnvfre \"/\\\tN_LP";
        static constexpr std::u32string_view kMeanings =
            U"\0\a\b\t\n\v\f\r\x1B \"/\\\t\x85\xA0\u2028\u2029"sv;
        if (++pos_ >= text_.size()) return false;
        char name = text_[pos_++];
        if (is_in(name, kBreaks)) {
            --pos_;
            line_break();
            empty_lines();
            return true;
        }
        if (std::size_t at = kNames.find(name); at != kNames.npos) {
            append_utf8(out_, kMeanings[at]);
            return true;
        }
        std::size_t digits = name == 'x' ? 2 : name == 'u' ? 4 : name == 'U' ? 8 : 0;
        if (digits == 0 || pos_ + digits > text_.size()) return false;
        const char* begin = text_.data() + pos_;
        std::uint32_t code_point = 0;
        auto [stop, error] = std::from_chars(begin, begin + digits, code_point, 16);
        if (error != std::errc() || stop != begin + digits) return false;
        append_utf8(out_, code_point);
        pos_ += digits;
        return true;
    }

    std::string_view text_;
    std::size_t pos_;
    char quote_;
    std::string out_;
};

}  // namespace

std::size_t skip_properties(std::string_view text, std::size_t pos) {
    while (pos < text.size() && (text[pos] == '&' || text[pos] == '!')) {
        // yaml-cpp lets a double quote follow a tag at once.
        pos = text.find_first_of(text[pos] == '!' ? " \t\r\n\"" : " \t\r\n", pos);
        pos = text.find_first_not_of(" \t\r\n", pos);
    }
    return std::min(pos, text.size());
}

std::optional<std::string> read_quoted(std::string_view text, std::size_t pos) {
    return QuotedReader(text, pos).read();
}

}  // namespace muster
