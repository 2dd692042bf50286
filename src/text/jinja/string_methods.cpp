#include "string_methods.h"

#include <algorithm>
#include <limits>

#include "../unicode_case.h"
#include "any_text.h"
#include "iteration.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/text/python_string.h"
#include "operators.h"
#include "text_format.h"

namespace muster::jinja {

namespace {

constexpr std::int64_t kMaxWidth = 1'000'000;

/// text[start:end] for the methods that take such bounds, with the characters before it.
struct Region {
    std::string_view text;
    std::int64_t start = 0;
    bool valid = true;

    Region(std::string_view whole, const Bound& bound, std::size_t first) : text(whole) {
        const bool has_start = bound.has(first) && !bound.any(first).is_none();
        const bool has_end = bound.has(first + 1) && !bound.any(first + 1).is_none();
        if (!has_start && !has_end) return;
        const std::int64_t size = static_cast<std::int64_t>(count_code_points(whole));
        const auto clip = [&](std::int64_t i) {
            return i < 0 ? std::max<std::int64_t>(0, i + size) : i;
        };
        start = has_start ? clip(bound.integer(first)) : 0;
        const std::int64_t end = std::min(size, has_end ? clip(bound.integer(first + 1)) : size);
        valid = start <= end;
        if (!valid) return;
        std::size_t from = 0;
        for (std::int64_t i = 0; i < start; ++i) next_code_point(whole, from);
        std::size_t to = from;
        for (std::int64_t i = start; i < end; ++i) next_code_point(whole, to);
        text = whole.substr(from, to - from);
    }
};

std::int64_t find_in(std::string_view text, std::string_view name, const Arguments& arguments,
                     bool last) {
    const Bound bound(name, arguments, {"sub", "start", "end"}, 1);
    const Region region(text, bound, 1);
    if (!region.valid) return -1;
    const std::string_view part = bound.text(0);
    const std::size_t at = last ? region.text.rfind(part) : region.text.find(part);
    if (at == std::string_view::npos) return -1;
    return region.start + static_cast<std::int64_t>(count_code_points(region.text.substr(0, at)));
}

std::int64_t index_in(std::string_view text, std::string_view name, const Arguments& arguments,
                      bool last) {
    const std::int64_t at = find_in(text, name, arguments, last);
    if (at < 0) throw UserError("substring not found");
    return at;
}

/// startswith and endswith: with one text or a tuple of them.
bool has_affix(Arena& arena, std::string_view text, std::string_view name,
               const Arguments& arguments, bool at_end) {
    const Bound bound(name, arguments, {"affix", "start", "end"}, 1);
    const Region region(text, bound, 1);
    const auto matches = [&](std::string_view affix) {
        if (!region.valid) return false;
        return at_end ? region.text.ends_with(affix) : region.text.starts_with(affix);
    };
    const Any affix = bound.any(0);
    if (!affix.is_sequence() || !affix.sequence().is_tuple()) return matches(bound.text(0));
    const Sequence& tuple = affix.sequence();
    for (std::size_t i = 0; i < tuple.size(); ++i) {
        if (!tuple.at(arena, i).is_text())
            throw UserError(cat(name, "() needs a string or a tuple of strings"));
        if (matches(tuple.at(arena, i).text())) return true;
    }
    return false;
}

template <typename Predicate>
bool all_characters(std::string_view text, Predicate predicate) {
    for (std::size_t pos = 0; pos < text.size();) {
        if (!predicate(next_code_point(text, pos))) return false;
    }
    return !text.empty();
}

bool is_title(std::string_view text) {
    bool cased = false, previous_cased = false;
    for (std::size_t pos = 0; pos < text.size();) {
        const char32_t c = next_code_point(text, pos);
        if (is_uppercase(c) || is_titlecase(c)) {
            if (previous_cased) return false;
            previous_cased = cased = true;
        } else if (is_lowercase(c)) {
            if (!previous_cased) return false;
        } else {
            previous_cased = false;
        }
    }
    return cased;
}

using Strip = std::string_view (*)(std::string_view);
using StripSet = std::string_view (*)(std::string_view, std::string_view);

/// The result is part of `text`, so nothing is copied.
Any strip(std::string_view text, const Arguments& arguments, Strip blanks, StripSet set) {
    const Bound bound("strip", arguments, {"chars"});
    return Any(bound.any(0).is_none() ? blanks(text) : set(text, bound.text(0)));
}

int clamp_count(std::int64_t count) {
    return static_cast<int>(std::clamp<std::int64_t>(count, -1, std::numeric_limits<int>::max()));
}

Any split(Arena& arena, std::string_view text, const Arguments& arguments, bool from_right) {
    const Bound bound(from_right ? "rsplit" : "split", arguments, {"sep", "maxsplit"});
    const int limit = clamp_count(bound.integer(1, -1));
    arena.charge(text.size() / 16);
    if (bound.any(0).is_none())
        return list_of(arena, from_right ? python_rsplit(text, limit) : python_split(text, limit));
    const std::string_view separator = bound.text(0);
    return list_of(arena, from_right ? python_rsplit(text, separator, limit)
                                     : python_split(text, separator, limit));
}

Any partition(Arena& arena, std::string_view text, const Arguments& arguments, bool from_right) {
    const Bound bound("partition", arguments, {"sep"}, 1);
    const std::string_view separator = bound.text(0);
    if (separator.empty())
        throw UserError("empty separator; expected at least one character to split at");
    const std::size_t at = from_right ? text.rfind(separator) : text.find(separator);
    std::string_view before = text, middle, after;
    if (at != std::string_view::npos) {
        before = text.substr(0, at);
        middle = separator;
        after = text.substr(at + separator.size());
    } else if (from_right) {
        std::swap(before, after);
    }
    std::pmr::vector<Any> parts = arena.items();
    for (const std::string_view part : {before, middle, after}) parts.push_back(Any(part));
    return arena.tuple(std::move(parts));
}

Any join(Arena& arena, std::string_view separator, const Arguments& arguments) {
    const Bound bound("join", arguments, {"iterable"}, 1);
    std::string out;
    bool first = true;
    Cursor cursor(arena, bound.any(0));
    for (Any item; cursor.next(item);) {
        require_defined(item);
        if (!item.is_text())
            throw UserError(cat("join(): expected strings, got '", type_name(item), "'"));
        arena.charge(1);
        if (!std::exchange(first, false)) out += separator;
        out += item.text();
        if (out.size() > (std::size_t{64} << 20)) throw UserError("join(): more than 64 MiB");
    }
    return arena.text(out);
}

enum class Side { left, right, both };

Any justify(Arena& arena, std::string_view text, const Arguments& arguments, Side side) {
    const Bound bound("justify", arguments, {"width", "fillchar"}, 1);
    const std::int64_t width = bound.integer(0);
    if (width > kMaxWidth) throw UserError(cat("a width above ", format_count(kMaxWidth)));
    const std::string_view fill = bound.text(1, " ");
    if (count_code_points(fill) != 1)
        throw UserError("the fill character must be exactly one character long");
    const std::int64_t missing = width - static_cast<std::int64_t>(count_code_points(text));
    if (missing <= 0) return Any(text);
    // CPython's str.center puts the odd blank by the parity of the width.
    std::int64_t left = side == Side::left ? 0 : missing;
    if (side == Side::both) left = missing / 2 + (missing & width & 1);
    std::string out;
    for (std::int64_t i = 0; i < left; ++i) out += fill;
    out += text;
    for (std::int64_t i = left; i < missing; ++i) out += fill;
    return arena.text(out);
}

Any zfill(Arena& arena, std::string_view text, const Arguments& arguments) {
    const std::int64_t width = Bound("zfill", arguments, {"width"}, 1).integer(0);
    if (width > kMaxWidth) throw UserError(cat("a width above ", format_count(kMaxWidth)));
    const std::int64_t missing = width - static_cast<std::int64_t>(count_code_points(text));
    if (missing <= 0) return Any(text);
    const std::size_t sign = text.starts_with('+') || text.starts_with('-') ? 1 : 0;
    std::string out(text.substr(0, sign));
    out.append(static_cast<std::size_t>(missing), '0');
    return arena.text(out += text.substr(sign));
}

Any replace(Arena& arena, std::string_view text, const Arguments& arguments) {
    const Bound bound("replace", arguments, {"old", "new", "count"}, 2);
    return replace_parts(arena, text, bound.text(0), bound.text(1), bound.integer(2, -1));
}

Any swap_case(Arena& arena, std::string_view text, const Arguments& arguments) {
    const Bound bound("swapcase", arguments, {});
    std::string out;
    for (std::size_t pos = 0; pos < text.size();) {
        const std::size_t begin = pos;
        const char32_t c = next_code_point(text, pos);
        const std::string_view character = text.substr(begin, pos - begin);
        out += is_uppercase(c)   ? python_lower(character)
               : is_lowercase(c) ? python_upper(character)
                                 : std::string(character);
    }
    return arena.text(out);
}

Any remove_affix(std::string_view text, const Arguments& arguments, bool at_end) {
    const Bound bound(at_end ? "removesuffix" : "removeprefix", arguments, {"affix"}, 1);
    const std::string_view affix = bound.text(0);
    if (at_end ? text.ends_with(affix) : text.starts_with(affix)) {
        return Any(at_end ? text.substr(0, text.size() - affix.size()) : text.substr(affix.size()));
    }
    return Any(text);
}

/// A method without arguments that asks something of every character.
template <bool (*predicate)(char32_t)>
Any ask(Arena&, std::string_view text, const Arguments& arguments) {
    const Bound bound("is…", arguments, {});
    return Any(all_characters(text, predicate));
}

/// A method without arguments that maps the text.
template <std::string (*map)(std::string_view)>
Any map_text(Arena& arena, std::string_view text, const Arguments& arguments) {
    const Bound bound("case", arguments, {});
    return arena.text(map(text));
}

using T = std::string_view;
using A = const Arguments&;

struct Row {
    std::string_view name;
    TextMethod method;
};

// One line per method.
constexpr Row kTextMethods[] = {
    {"capitalize", map_text<python_capitalize>},
    {"center", [](Arena& m, T t, A a) { return justify(m, t, a, Side::both); }},
    {"count",
     [](Arena&, T t, A a) {
         const Bound bound("count", a, {"sub", "start", "end"}, 1);
         const Region region(t, bound, 1);
         return Any(region.valid ? count_parts(region.text, bound.text(0)) : std::int64_t{0});
     }},
    {"endswith", [](Arena& m, T t, A a) { return Any(has_affix(m, t, "endswith", a, true)); }},
    {"find", [](Arena&, T t, A a) { return Any(find_in(t, "find", a, false)); }},
    {"format", [](Arena& m, T t, A a) { return m.text(brace_format(m, t, a)); }},
    {"index", [](Arena&, T t, A a) { return Any(index_in(t, "index", a, false)); }},
    {"isalnum", ask<is_python_alnum>},
    {"isalpha", ask<is_python_alpha>},
    {"isdecimal", ask<is_python_decimal>},
    {"isdigit", ask<is_python_digit>},
    {"islower", [](Arena&, T t, A) { return Any(is_lower(t)); }},
    {"isnumeric", ask<is_python_numeric>},
    {"isspace", ask<is_python_space>},
    {"istitle", [](Arena&, T t, A) { return Any(is_title(t)); }},
    {"isupper", [](Arena&, T t, A) { return Any(is_upper(t)); }},
    {"join", join},
    {"ljust", [](Arena& m, T t, A a) { return justify(m, t, a, Side::left); }},
    {"lower", map_text<python_lower>},
    {"lstrip", [](Arena&, T t, A a) { return strip(t, a, python_lstrip, python_lstrip); }},
    {"partition", [](Arena& m, T t, A a) { return partition(m, t, a, false); }},
    {"removeprefix", [](Arena&, T t, A a) { return remove_affix(t, a, false); }},
    {"removesuffix", [](Arena&, T t, A a) { return remove_affix(t, a, true); }},
    {"replace", replace},
    {"rfind", [](Arena&, T t, A a) { return Any(find_in(t, "rfind", a, true)); }},
    {"rindex", [](Arena&, T t, A a) { return Any(index_in(t, "rindex", a, true)); }},
    {"rjust", [](Arena& m, T t, A a) { return justify(m, t, a, Side::right); }},
    {"rpartition", [](Arena& m, T t, A a) { return partition(m, t, a, true); }},
    {"rsplit", [](Arena& m, T t, A a) { return split(m, t, a, true); }},
    {"rstrip", [](Arena&, T t, A a) { return strip(t, a, python_rstrip, python_rstrip); }},
    {"split", [](Arena& m, T t, A a) { return split(m, t, a, false); }},
    {"splitlines",
     [](Arena& m, T t, A a) {
         return list_of(m, python_splitlines(t, Bound("splitlines", a, {"keepends"}).boolean(0)));
     }},
    {"startswith", [](Arena& m, T t, A a) { return Any(has_affix(m, t, "startswith", a, false)); }},
    {"strip", [](Arena&, T t, A a) { return strip(t, a, python_strip, python_strip); }},
    {"swapcase", swap_case},
    {"title", map_text<python_title>},
    {"upper", map_text<python_upper>},
    {"zfill", zfill},
};

}  // namespace

TextMethod find_text_method(std::string_view name) {
    for (const Row& row : kTextMethods) {
        if (row.name == name) return row.method;
    }
    return nullptr;
}

std::vector<std::string_view> text_method_names() {
    std::vector<std::string_view> names;
    for (const Row& row : kTextMethods) names.push_back(row.name);
    return names;
}

bool is_lower(std::string_view text) {
    bool cased = false;
    for (std::size_t pos = 0; pos < text.size();) {
        const char32_t c = next_code_point(text, pos);
        if (is_uppercase(c) || is_titlecase(c)) return false;
        cased = cased || is_lowercase(c);
    }
    return cased;
}

bool is_upper(std::string_view text) {
    bool cased = false;
    for (std::size_t pos = 0; pos < text.size();) {
        const char32_t c = next_code_point(text, pos);
        if (is_lowercase(c) || is_titlecase(c)) return false;
        cased = cased || is_uppercase(c);
    }
    return cased;
}

std::int64_t count_parts(std::string_view text, std::string_view part) {
    if (part.empty()) return static_cast<std::int64_t>(count_code_points(text)) + 1;
    std::int64_t count = 0;
    for (std::size_t at = text.find(part); at != std::string_view::npos;
         at = text.find(part, at + part.size()))
        ++count;
    return count;
}

Any replace_parts(Arena& arena, std::string_view text, std::string_view from, std::string_view to,
                  std::int64_t count) {
    arena.charge(1 + text.size() / 16);
    if (!to.empty())
        Arena::require_room(to.size(), static_cast<std::size_t>(count_parts(text, from)));
    return arena.text(python_replace(text, from, to, clamp_count(count)));
}

Any list_of(Arena& arena, const std::vector<std::string>& parts) {
    std::pmr::vector<Any> items = arena.items();
    arena.charge(parts.size());
    items.reserve(parts.size());
    for (const std::string& part : parts) items.push_back(arena.text(part));
    return arena.list(std::move(items));
}

}  // namespace muster::jinja
