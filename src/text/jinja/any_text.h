#pragma once
// str(), repr() and json.dumps() of values of a template.

#include <string>

#include "any.h"

namespace muster::jinja {

/// Appends str(value). Throws UserError for a strict undefined; a lenient one is "".
void append_text(Arena& arena, std::string& out, const Any& value);
std::string to_text(Arena& arena, const Any& value);
/// A text as it stands, anything else as str() in the arena.
std::string_view text_view(Arena& arena, const Any& value);
void append_repr(Arena& arena, std::string& out, const Any& value, int depth = 0);

struct JsonStyle {
    bool ensure_ascii = false;
    bool sort_keys = false;
    bool html_safe = false;   ///< <, >, & and ' as \u003c …: Jinja's own tojson
    bool has_indent = false;  ///< one item per line
    std::string indent;       ///< of one level
    std::string_view item_separator = ", ", key_separator = ": ";
};
/// json.dumps(value) of Python.
std::string to_json(Arena& arena, const Any& value, const JsonStyle& style);

}  // namespace muster::jinja
