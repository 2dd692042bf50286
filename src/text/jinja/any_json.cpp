#include <algorithm>
#include <cmath>
#include <cstdio>

#include "any_text.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/text/python_string.h"
#include "operators.h"

// json.dumps as CPython 3.11's Lib/json/encoder.py writes it.

namespace muster::jinja {

namespace {

constexpr int kMaxDepth = 100;
constexpr std::size_t kMaxBytes = std::size_t{64} << 20;

class JsonWriter {
 public:
    JsonWriter(Arena& arena, const JsonStyle& style) : arena_(arena), style_(style) {}

    void write(const Any& value, int depth) {
        if (depth > kMaxDepth)
            throw UserError(cat("tojson: a value nested deeper than ", kMaxDepth, " levels"));
        if (out_.size() > kMaxBytes) throw UserError("tojson: more than 64 MiB");
        arena_.charge(1);
        switch (value.kind()) {
            case Any::Kind::none:
                out_ += "null";
                return;
            case Any::Kind::boolean:
                out_ += value.boolean() ? "true" : "false";
                return;
            case Any::Kind::integer:
                out_ += std::to_string(value.integer());
                return;
            case Any::Kind::real:
                out_ += real(value.real());
                return;
            case Any::Kind::text:
                write_text(value.text());
                return;
            case Any::Kind::mapping:
                write_mapping(value.mapping(), depth + 1);
                return;
            case Any::Kind::sequence:
                if (value.sequence().is_list() || value.sequence().is_tuple()) {
                    write_sequence(value.sequence(), depth + 1);
                    return;
                }
                break;
            default:
                break;
        }
        throw UserError(
            cat("tojson: object of type ", type_name(value), " is not JSON serializable",
                value.is_undefined() ? cat(": ", value.undefined_message()) : std::string()));
    }

    std::string take() { return std::move(out_); }

 private:
    static std::string real(double value) {
        if (std::isnan(value)) return "NaN";
        if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
        return python_float_repr(value);
    }

    void break_line(int depth) {
        if (!style_.has_indent) return;
        out_ += '\n';
        for (int i = 0; i < depth; ++i) out_ += style_.indent;
    }

    void write_sequence(const Sequence& sequence, int depth) {
        if (sequence.size() == 0) {
            out_ += "[]";
            return;
        }
        out_ += '[';
        for (std::size_t i = 0; i < sequence.size(); ++i) {
            if (i > 0) out_ += style_.item_separator;
            break_line(depth);
            write(sequence.at(arena_, i), depth);
        }
        break_line(depth - 1);
        out_ += ']';
    }

    void write_mapping(const Mapping& mapping, int depth) {
        if (mapping.size() == 0) {
            out_ += "{}";
            return;
        }
        std::vector<std::size_t> order(mapping.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        if (style_.sort_keys) {
            std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
                return less(arena_, mapping.key(a), mapping.key(b));
            });
        }
        out_ += '{';
        const char* first = "";
        for (const std::size_t i : order) {
            if (*first) out_ += style_.item_separator;
            first = ",";
            break_line(depth);
            write_key(mapping.key(i));
            out_ += style_.key_separator;
            write(mapping.value(arena_, i), depth);
        }
        break_line(depth - 1);
        out_ += '}';
    }

    void write_key(const Any& key) {
        switch (key.kind()) {
            case Any::Kind::text:
                write_text(key.text());
                return;
            case Any::Kind::none:
                write_text("null");
                return;
            case Any::Kind::boolean:
                write_text(key.boolean() ? "true" : "false");
                return;
            case Any::Kind::integer:
                write_text(std::to_string(key.integer()));
                return;
            case Any::Kind::real:
                write_text(real(key.real()));
                return;
            default:
                throw UserError(
                    cat("tojson: keys must be strings or numbers, not ", type_name(key)));
        }
    }

    void write_text(std::string_view text) {
        out_ += '"';
        for (std::size_t pos = 0; pos < text.size();) {
            const std::size_t begin = pos;
            const char32_t c = next_code_point(text, pos);
            switch (c) {
                case '"':
                    out_ += "\\\"";
                    break;
                case '\\':
                    out_ += "\\\\";
                    break;
                case '\n':
                    out_ += "\\n";
                    break;
                case '\r':
                    out_ += "\\r";
                    break;
                case '\t':
                    out_ += "\\t";
                    break;
                case '\f':
                    out_ += "\\f";
                    break;
                case '\b':
                    out_ += "\\b";
                    break;
                default:
                    if (needs_escape(c)) {
                        write_escape(c);
                    } else {
                        out_ += text.substr(begin, pos - begin);
                    }
            }
        }
        out_ += '"';
    }

    bool needs_escape(char32_t c) const {
        if (c < 0x20) return true;
        if (style_.ensure_ascii && c > 0x7e) return true;
        return style_.html_safe && (c == '<' || c == '>' || c == '&' || c == '\'');
    }

    void write_escape(char32_t c) {
        char buffer[16];
        if (c >= 0x10000) {  // a UTF-16 pair
            c -= 0x10000;
            std::snprintf(buffer, sizeof buffer, "\\u%04x\\u%04x",
                          static_cast<unsigned>(0xd800 + (c >> 10)),
                          static_cast<unsigned>(0xdc00 + (c & 0x3ff)));
        } else {
            std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
        }
        out_ += buffer;
    }

    Arena& arena_;
    const JsonStyle& style_;
    std::string out_;
};

}  // namespace

std::string to_json(Arena& arena, const Any& value, const JsonStyle& style) {
    JsonWriter writer(arena, style);
    writer.write(value, 0);
    return writer.take();
}

}  // namespace muster::jinja
