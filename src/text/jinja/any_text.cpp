#include "any_text.h"

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/text/python_string.h"
#include "operators.h"

namespace muster::jinja {

namespace {

constexpr int kMaxDepth = 100;
constexpr std::size_t kMaxBytes = std::size_t{64} << 20;

void append_within(Arena& arena, std::string& out, const Any& value, int depth);

void append_items(Arena& arena, std::string& out, const Sequence& sequence, int depth) {
    for (std::size_t i = 0; i < sequence.size(); ++i) {
        if (i > 0) out += ", ";
        append_within(arena, out, sequence.at(arena, i), depth);
    }
}

void append_sequence(Arena& arena, std::string& out, const Sequence& sequence, int depth) {
    const char* open = "[";
    const char* close = "]";
    switch (sequence.kind()) {
        case Sequence::Kind::list:
        case Sequence::Kind::generator:
            break;
        case Sequence::Kind::tuple:
        case Sequence::Kind::group:
            open = "(";
            close = sequence.size() == 1 ? ",)" : ")";
            break;
        case Sequence::Kind::range: {
            const auto& [first, stop, step] = sequence.bounds();
            out += cat("range(", first, ", ", stop, step == 1 ? "" : cat(", ", step), ")");
            return;
        }
        case Sequence::Kind::keys:
            open = "dict_keys([";
            close = "])";
            break;
        case Sequence::Kind::values:
            open = "dict_values([";
            close = "])";
            break;
        case Sequence::Kind::items:
            open = "dict_items([";
            close = "])";
            break;
    }
    out += open;
    append_items(arena, out, sequence, depth);
    out += close;
}

void append_within(Arena& arena, std::string& out, const Any& value, int depth) {
    if (depth > kMaxDepth)
        throw UserError(cat("a value nested deeper than ", kMaxDepth, " levels"));
    if (out.size() > kMaxBytes) throw UserError("the text of a value is larger than 64 MiB");
    arena.charge(1);
    switch (value.kind()) {
        case Any::Kind::undefined:
            out += "Undefined";
            break;  // even a strict one has a repr
        case Any::Kind::none:
            out += "None";
            break;
        case Any::Kind::boolean:
            out += value.boolean() ? "True" : "False";
            break;
        case Any::Kind::integer:
            out += std::to_string(value.integer());
            break;
        case Any::Kind::real:
            out += python_float_repr(value.real());
            break;
        case Any::Kind::text:
            out += python_string_repr(value.text());
            break;
        case Any::Kind::sequence:
            append_sequence(arena, out, value.sequence(), depth + 1);
            break;
        case Any::Kind::mapping: {
            const Mapping& mapping = value.mapping();
            out += '{';
            for (std::size_t i = 0; i < mapping.size(); ++i) {
                if (i > 0) out += ", ";
                append_within(arena, out, mapping.key(i), depth + 1);
                out += ": ";
                append_within(arena, out, mapping.value(arena, i), depth + 1);
            }
            out += '}';
            break;
        }
        case Any::Kind::thing:
            out += value.thing().repr(arena, depth);
            break;
    }
}

}  // namespace

void append_text(Arena& arena, std::string& out, const Any& value) {
    if (value.is_text()) {
        out += value.text();
    } else if (value.is_undefined()) {
        require_lenient(value);
    } else {
        append_within(arena, out, value, 0);
    }
}

std::string to_text(Arena& arena, const Any& value) {
    std::string out;
    append_text(arena, out, value);
    return out;
}

std::string_view text_view(Arena& arena, const Any& value) {
    return value.is_text() ? value.text() : arena.keep(to_text(arena, value));
}

void append_repr(Arena& arena, std::string& out, const Any& value, int depth) {
    append_within(arena, out, value, depth);
}

}  // namespace muster::jinja
