#include <array>
#include <charconv>
#include <cmath>

#include "muster/config/parse.h"

namespace muster {

namespace {

void write_string(std::string& out, std::string_view text) {
    static constexpr std::string_view kHex = "0123456789abcdef";
    out += '"';
    for (char c : text) {
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            case '\b':
                out += "\\b";
                break;
            case '\f':
                out += "\\f";
                break;
            default:
                if (static_cast<unsigned char>(c) < 0x20) {
                    out += "\\u00";
                    out += kHex[static_cast<unsigned char>(c) >> 4];
                    out += kHex[static_cast<unsigned char>(c) & 15];
                } else {
                    out += c;
                }
        }
    }
    out += '"';
}

// Shortest digits that read back as the same double, with a ".0" that keeps a real a real.
void write_real(std::string& out, double value) {
    if (std::isnan(value)) {
        out += "NaN";
    } else if (std::isinf(value)) {
        out += value < 0 ? "-Infinity" : "Infinity";
    } else {
        // Plain digits from 1e-4 up to 1e16, an exponent beyond, as Python's repr() does it.
        double magnitude = std::abs(value);
        bool plain = magnitude == 0 || (magnitude >= 1e-4 && magnitude < 1e16);
        auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
        std::array<char, 64> digits{};
        auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, format).ptr;
        std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
        out += text;
        if (plain && text.find('.') == text.npos) out += ".0";
    }
}

class Writer {
 public:
    Writer(std::string& out, int indent) : out_(out), indent_(indent) {}

    void write(const Value& value, int level) {
        switch (value.kind()) {
            case Value::Kind::null:
                out_ += "null";
                break;
            case Value::Kind::boolean:
                out_ += value.as_bool() ? "true" : "false";
                break;
            case Value::Kind::integer:
                out_ += std::to_string(value.as_integer());
                break;
            case Value::Kind::real:
                write_real(out_, value.as_real());
                break;
            case Value::Kind::string:
                write_string(out_, value.as_string());
                break;
            case Value::Kind::array:
                write_array(value.as_array(), level);
                break;
            case Value::Kind::object:
                write_object(value.as_object(), level);
                break;
        }
    }

 private:
    void write_array(const Array& array, int level) {
        out_ += '[';
        for (std::size_t i = 0; i < array.size(); ++i) {
            if (i > 0) out_ += ',';
            new_line(level + 1);
            write(array[i], level + 1);
        }
        if (!array.empty()) new_line(level);
        out_ += ']';
    }
    void write_object(const Object& object, int level) {
        out_ += '{';
        bool first = true;
        for (const auto& [key, value] : object.members()) {
            if (!first) out_ += ',';
            first = false;
            new_line(level + 1);
            write_string(out_, key);
            out_ += indent_ < 0 ? ":" : ": ";
            write(value, level + 1);
        }
        if (!object.empty()) new_line(level);
        out_ += '}';
    }
    void new_line(int level) {
        if (indent_ < 0) return;
        out_ += '\n';
        out_.append(static_cast<std::size_t>(indent_) * static_cast<std::size_t>(level), ' ');
    }

    std::string& out_;
    int indent_;
};

}  // namespace

std::string to_json(const Value& value, int indent) {
    std::string out;
    Writer(out, indent).write(value, 0);
    return out;
}

}  // namespace muster
