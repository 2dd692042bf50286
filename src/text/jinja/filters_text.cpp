#include <algorithm>
#include <unordered_map>

#include "../unicode_case.h"
#include "any_text.h"
#include "evaluator.h"
#include "filter_functions.h"
#include "iteration.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/text/python_string.h"
#include "muster/text/regex.h"
#include "operators.h"
#include "string_methods.h"
#include "text_format.h"

namespace muster::jinja {

namespace {

/// A filter without arguments that maps str(input).
template <std::string (*map)(std::string_view)>
Any map_text(Evaluator& evaluator, std::string_view filter, const Any& input,
             const Arguments& arguments) {
    const Bound bound(filter, arguments, {});
    return evaluator.arena().text(map(text_view(evaluator.arena(), input)));
}

/// The input as str; anything else is an error as in Jinja, where the filter uses it as a text.
std::string_view require_text(std::string_view filter, const Any& input) {
    require_defined(input);
    if (!input.is_text())
        throw UserError(cat(filter, ": expected a string, got '", type_name(input), "'"));
    return input.text();
}

bool is_word_border(char32_t c) {
    return is_python_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
}

/// First characters in upper case, the rest in lower case; words end at blanks and opening
/// brackets.
std::string title_words(std::string_view text) {
    std::string out;
    for (std::size_t pos = 0; pos < text.size();) {
        std::size_t begin = pos;
        char32_t c = next_code_point(text, pos);
        if (is_word_border(c)) {
            out += text.substr(begin, pos - begin);
            continue;
        }
        out += python_upper(text.substr(begin, pos - begin));
        begin = pos;
        while (pos < text.size()) {
            std::size_t next = pos;
            if (is_word_border(next_code_point(text, next))) break;
            pos = next;
        }
        out += python_lower(text.substr(begin, pos - begin));
    }
    return out;
}

std::string escape_html(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '\'':
                out += "&#39;";
                break;
            case '"':
                out += "&#34;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

/// Compiled patterns of this thread; a prompt template uses the same one for every document.
const Regex& compiled(std::string_view pattern) {
    constexpr std::size_t kMaxPatterns = 64;
    thread_local std::unordered_map<std::string, Regex> patterns;
    const auto found = patterns.find(std::string(pattern));
    if (found != patterns.end()) return found->second;
    if (patterns.size() >= kMaxPatterns) patterns.clear();
    return patterns.emplace(std::string(pattern), Regex(std::string(pattern))).first->second;
}

}  // namespace

Any filter_capitalize(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    return map_text<python_capitalize>(evaluator, "capitalize", input, arguments);
}

Any filter_lower(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    return map_text<python_lower>(evaluator, "lower", input, arguments);
}

Any filter_upper(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    return map_text<python_upper>(evaluator, "upper", input, arguments);
}

Any filter_title(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    return map_text<title_words>(evaluator, "title", input, arguments);
}

Any filter_escape(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    return map_text<escape_html>(evaluator, "escape", input, arguments);
}

Any filter_string(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    const Bound bound("string", arguments, {});
    return Any(text_view(evaluator.arena(), input));
}

Any filter_center(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    const Bound bound("center", arguments, {"width"});
    Arguments width(evaluator.arena());
    width.positional.push_back(bound.any(0, Any(std::int64_t{80})));
    return find_text_method("center")(evaluator.arena(), text_view(evaluator.arena(), input),
                                      width);
}

Any filter_format(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    Arena& arena = evaluator.arena();
    if (!arguments.positional.empty() && !arguments.named.empty()) {
        throw UserError("format: positional and named values cannot be mixed");
    }
    Any values = arena.tuple(std::pmr::vector<Any>(arguments.positional, arena.memory()));
    if (!arguments.named.empty()) {
        Mapping* const mapping = arena.make<Mapping>(arena.memory());
        for (const auto& [name, value] : arguments.named) mapping->set(arena, Any(name), value);
        values = Any(mapping);
    }
    return arena.text(percent_format(arena, text_view(arena, input), values));
}

Any filter_indent(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    constexpr std::int64_t kMaxIndent = 10'000;
    const Bound bound("indent", arguments, {"width", "first", "blank"});
    std::string indention;
    if (bound.has(0) && bound.any(0).is_text()) {
        indention = bound.text(0);
    } else {
        const std::int64_t width = bound.integer(0, 4);
        if (width > kMaxIndent)
            throw UserError(cat("indent: a width above ", format_count(kMaxIndent)));
        if (width > 0) indention.assign(static_cast<std::size_t>(width), ' ');
    }
    const bool blank = bound.boolean(2);
    // A line break at the very end must give an empty last line, as jinja2's added "\n" does.
    const std::vector<std::string> lines =
        python_splitlines(cat(require_text("indent", input), "\n"));
    std::string out;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (i > 0) out += '\n';
        if (i == 0 ? bound.boolean(1) : blank || !lines[i].empty()) out += indention;
        out += lines[i];
        if (out.size() > (std::size_t{64} << 20)) throw UserError("indent: more than 64 MiB");
    }
    return evaluator.arena().text(out);
}

Any filter_regex_replace(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    const Bound bound("regex_replace", arguments, {"pattern", "repl", "count"}, 2);
    if (bound.integer(2, 0) != 0)
        throw UserError("regex_replace: a count is not supported; expected 0 (all matches)");
    const std::string_view text = require_text("regex_replace", input);
    evaluator.arena().charge(1 + text.size() / 16);
    Arena::require_room(bound.text(1).size() + 1,
                        text.size() / 16);  // roughly: a pattern matches often
    return evaluator.arena().text(compiled(bound.text(0)).replace(text, bound.text(1)));
}

Any filter_replace(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    Arena& arena = evaluator.arena();
    const Bound bound("replace", arguments, {"old", "new", "count"}, 2);
    const std::int64_t count = bound.any(2).is_none() ? -1 : bound.integer(2);
    return replace_parts(arena, text_view(arena, input), text_view(arena, bound.any(0)),
                         text_view(arena, bound.any(1)), count);
}

Any filter_tojson(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    Arena& arena = evaluator.arena();
    JsonStyle style;
    Any indent, separators;
    if (evaluator.options().sandboxed) {
        const Bound bound("tojson", arguments,
                          {"ensure_ascii", "indent", "separators", "sort_keys"});
        style.ensure_ascii = bound.boolean(0);
        style.sort_keys = bound.boolean(3);
        indent = bound.any(1);
        separators = bound.any(2);
    } else {
        indent = Bound("tojson", arguments, {"indent"}).any(0);
        style.ensure_ascii = style.sort_keys = style.html_safe = true;
    }
    if (!indent.is_none()) {
        style.has_indent = true;
        style.item_separator = ",";
        if (indent.is_text()) {
            style.indent = indent.text();
        } else {
            if (!indent.is_integral())
                throw UserError("tojson: indent must be a number or a string");
            const std::int64_t width = indent.integer();
            style.indent.assign(static_cast<std::size_t>(std::clamp<std::int64_t>(width, 0, 100)),
                                ' ');
        }
    }
    if (!separators.is_none()) {
        const std::pmr::vector<Any> parts = collect(arena, separators);
        if (parts.size() != 2 || !parts[0].is_text() || !parts[1].is_text()) {
            throw UserError("tojson: separators must be a pair of strings");
        }
        style.item_separator = parts[0].text();
        style.key_separator = parts[1].text();
    }
    return arena.text(to_json(arena, input, style));
}

Any filter_trim(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    const Bound bound("trim", arguments, {"chars"});
    const std::string_view text = text_view(evaluator.arena(), input);
    return Any(bound.any(0).is_none() ? python_strip(text) : python_strip(text, bound.text(0)));
}

Any filter_truncate(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    Arena& arena = evaluator.arena();
    const Bound bound("truncate", arguments, {"length", "killwords", "end", "leeway"});
    const std::string_view end = bound.text(2, "...");
    require_text("truncate", input);
    const std::int64_t most = bound.integer(0, 255), end_length = length(Any(end));
    const std::int64_t leeway = bound.any(3).is_none() ? 5 : bound.integer(3);
    if (most < end_length || leeway < 0)
        throw UserError("truncate: the length is shorter than the end, or the leeway negative");
    if (length(input) <= most + leeway) return input;
    const Any cut = slice(arena, input, Any(), Any(most - end_length), Any());
    std::string out(cut.text());
    if (!bound.boolean(1)) out = python_rsplit(out, " ", 1).front();
    return arena.text(out.append(end));
}

Any filter_wordcount(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    const Bound bound("wordcount", arguments, {});
    const std::string_view text = text_view(evaluator.arena(), input);
    std::int64_t words = 0;
    bool inside = false;
    for (std::size_t pos = 0; pos < text.size();) {
        const char32_t c = next_code_point(text, pos);
        const bool word = c == '_' || is_python_alnum(c);
        words += word && !inside;
        inside = word;
    }
    return Any(words);
}

}  // namespace muster::jinja
