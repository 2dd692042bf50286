#include <algorithm>

#include "any_text.h"
#include "evaluator.h"
#include "filter_functions.h"
#include "iteration.h"
#include "methods.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/text/python_string.h"
#include "operators.h"

namespace muster::jinja {

namespace {

Any generator(Arena& arena, std::pmr::vector<Any> items) {
    return Any(arena.make<Sequence>(Sequence::Kind::generator, std::move(items)));
}

/// The arguments after the first `skip`, for the filter or test that they name.
Arguments rest_of(Arena& arena, const Arguments& arguments, std::size_t skip) {
    Arguments rest(arena);
    rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(skip),
                           arguments.positional.end());
    rest.named.assign(arguments.named.begin(), arguments.named.end());
    return rest;
}

std::string_view name_at(const Arguments& arguments, std::size_t i, std::string_view filter,
                         std::string_view what) {
    if (i >= arguments.positional.size())
        throw UserError(cat(filter, ": expected the name of ", what));
    require_defined(arguments.positional[i]);
    if (!arguments.positional[i].is_text())
        throw UserError(cat(filter, ": the name of ", what, " must be a string"));
    return arguments.positional[i].text();
}

/// select, reject, selectattr and rejectattr: items for which the test holds (or not).
Any choose(Evaluator& evaluator, const Any& input, const Arguments& arguments,
           std::string_view filter, bool by_attribute, bool keep) {
    Arena& arena = evaluator.arena();
    std::pmr::vector<Any> chosen = arena.items();
    if (!truth(input)) return generator(arena, std::move(chosen));
    const std::size_t offset = by_attribute ? 1 : 0;
    if (by_attribute && arguments.positional.empty())
        throw UserError(cat(filter, ": expected the name of an attribute"));
    const AttributePath path(evaluator, by_attribute ? arguments.positional[0] : Any());
    const bool has_test = arguments.positional.size() > offset;
    const std::string_view test =
        has_test ? name_at(arguments, offset, filter, "a test") : std::string_view();
    const Arguments rest =
        rest_of(arena, arguments, std::min(offset + 1, arguments.positional.size()));
    Cursor cursor(arena, input);
    for (Any item; cursor.next(item);) {
        arena.charge(1);
        const Any value = path.of(item);
        const bool holds = has_test ? evaluator.apply_test(test, value, rest) : truth(value);
        if (holds == keep) chosen.push_back(item);
    }
    return generator(arena, std::move(chosen));
}

}  // namespace

AttributePath::AttributePath(Evaluator& evaluator, const Any& path)
    : evaluator_(evaluator), parts_(evaluator.arena().memory()) {
    if (path.is_none()) return;
    require_defined(path);
    if (!path.is_text()) {
        parts_.push_back(path);
        return;
    }
    for (const std::string& part : python_split(path.text(), ".")) {
        const bool is_number = !part.empty() && part.size() < 18 &&
                               part.find_first_not_of("0123456789") == std::string::npos;
        parts_.push_back(is_number ? Any(static_cast<std::int64_t>(std::stoll(part)))
                                   : evaluator.arena().text(part));
    }
}

Any AttributePath::of(const Any& item) const {
    Any value = item;
    for (const Any& part : parts_) value = evaluator_.item(value, part);
    return value;
}

Any filter_attr(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    const std::string_view name = Bound("attr", arguments, {"name"}, 1).text(0);
    const Method method = find_method(name);
    if (input.is_mapping() && !(method && has_method(input, method))) {  // a member is no attribute
        return Any::undefined(Missing::attribute, evaluator.options().strict_undefined, name,
                              type_name(input));
    }
    return evaluator.attribute(input, name, method);
}

Any filter_batch(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    Arena& arena = evaluator.arena();
    const Bound bound("batch", arguments, {"linecount", "fill_with"}, 1);
    const std::int64_t size = bound.integer(0);
    if (size < 1 || size > 1'000'000) throw UserError("batch: expected a size from 1 to 1,000,000");
    std::pmr::vector<Any> batches = arena.items(), batch = arena.items();
    for (const Any& item : collect(arena, input)) {
        if (batch.size() == static_cast<std::size_t>(size)) {
            batches.push_back(arena.list(std::move(batch)));
            batch = arena.items();
        }
        batch.push_back(item);
    }
    if (!batch.empty()) {
        if (!bound.any(1).is_none()) batch.resize(static_cast<std::size_t>(size), bound.any(1));
        batches.push_back(arena.list(std::move(batch)));
    }
    return generator(arena, std::move(batches));
}

Any filter_slice(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    Arena& arena = evaluator.arena();
    const Bound bound("slice", arguments, {"slices", "fill_with"}, 1);
    const std::int64_t slices = bound.integer(0);
    if (slices < 1 || slices > 1'000'000) throw UserError("slice: expected 1 to 1,000,000 slices");
    const std::pmr::vector<Any> items = collect(arena, input);
    const std::size_t count = static_cast<std::size_t>(slices), least = items.size() / count,
                      extra = items.size() % count;
    std::pmr::vector<Any> out = arena.items();
    std::size_t begin = 0;
    for (std::size_t i = 0; i < count; ++i) {
        arena.charge(1);
        std::pmr::vector<Any> part = arena.items();
        const std::size_t end = begin + least + (i < extra ? 1 : 0);
        for (; begin < end; ++begin) part.push_back(items[begin]);
        if (!bound.any(1).is_none() && i >= extra) part.push_back(bound.any(1));
        out.push_back(arena.list(std::move(part)));
    }
    return generator(arena, std::move(out));
}

Any filter_default(Evaluator&, const Any& input, const Arguments& arguments) {
    const Bound bound("default", arguments, {"default_value", "boolean"});
    const bool replace = input.is_undefined() || (bound.boolean(1) && !truth(input));
    return replace ? bound.any(0, Any(std::string_view())) : input;
}

Any filter_first(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    const Bound bound("first", arguments, {});
    Cursor cursor(evaluator.arena(), input);
    Any item;
    return cursor.next(item) ? item : evaluator.undefined("No first item, sequence was empty.");
}

Any filter_last(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    const Bound bound("last", arguments, {});
    if (input.is_sequence() && input.sequence().kind() == Sequence::Kind::generator) {
        throw UserError("last: 'generator' object is not reversible; apply |list first");
    }
    std::string_view character;
    if (input.is_text() && character_at(input.text(), -1, character)) return Any(character);
    const std::pmr::vector<Any> items = collect(evaluator.arena(), input);
    return items.empty() ? evaluator.undefined("No last item, sequence was empty.") : items.back();
}

Any filter_items(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    const Bound bound("items", arguments, {});
    Arena& arena = evaluator.arena();
    if (input.is_undefined()) return generator(arena, arena.items());
    if (!input.is_mapping())
        throw UserError(cat("items: expected a dict, got '", type_name(input), "'"));
    const Any view = call_method(evaluator, input, find_method("items"), Arguments(arena));
    return generator(arena, collect(arena, view));
}

Any filter_join(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    Arena& arena = evaluator.arena();
    const Bound bound("join", arguments, {"d", "attribute"});
    const AttributePath path(evaluator, bound.any(1));
    const std::string_view separator = text_view(arena, bound.any(0, Any(std::string_view())));
    std::string out;
    bool first = true;
    Cursor cursor(arena, input);
    for (Any item; cursor.next(item);) {
        arena.charge(1);
        if (!std::exchange(first, false)) out += separator;
        append_text(arena, out, path.of(item));
        if (out.size() > (std::size_t{64} << 20)) throw UserError("join: more than 64 MiB");
    }
    return arena.text(out);
}

Any filter_length(Evaluator&, const Any& input, const Arguments& arguments) {
    const Bound bound("length", arguments, {});
    return Any(length(input));
}

Any filter_list(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    const Bound bound("list", arguments, {});
    return evaluator.arena().list(collect(evaluator.arena(), input));
}

Any filter_map(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    Arena& arena = evaluator.arena();
    std::pmr::vector<Any> mapped = arena.items();
    if (!truth(input)) return generator(arena, std::move(mapped));
    const bool by_attribute = arguments.positional.empty() && arguments.find_named("attribute");
    Cursor cursor(arena, input);
    if (by_attribute) {
        const Bound bound("map", arguments, {"attribute", "default"});
        const AttributePath path(evaluator, bound.any(0));
        for (Any item; cursor.next(item);) {
            arena.charge(1);
            const Any value = path.of(item);
            mapped.push_back(value.is_undefined() && bound.has(1) ? bound.any(1) : value);
        }
    } else {
        const std::string_view filter = name_at(arguments, 0, "map", "a filter or attribute='…'");
        const Arguments rest = rest_of(arena, arguments, 1);
        for (Any item; cursor.next(item);) {
            arena.charge(1);
            mapped.push_back(evaluator.apply_filter(filter, item, rest));
        }
    }
    return generator(arena, std::move(mapped));
}

Any filter_select(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    return choose(evaluator, input, arguments, "select", false, true);
}

Any filter_reject(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    return choose(evaluator, input, arguments, "reject", false, false);
}

Any filter_selectattr(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    return choose(evaluator, input, arguments, "selectattr", true, true);
}

Any filter_rejectattr(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    return choose(evaluator, input, arguments, "rejectattr", true, false);
}

Any filter_reverse(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    const Bound bound("reverse", arguments, {});
    Arena& arena = evaluator.arena();
    if (input.is_text()) return slice(arena, input, Any(), Any(), Any(std::int64_t{-1}));
    std::pmr::vector<Any> items = collect(arena, input);
    std::reverse(items.begin(), items.end());
    return generator(arena, std::move(items));
}

Any filter_sum(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    Arena& arena = evaluator.arena();
    const Bound bound("sum", arguments, {"attribute", "start"});
    const AttributePath path(evaluator, bound.any(0));
    Any total = bound.any(1, Any(std::int64_t{0}));
    if (total.is_text()) throw UserError("sum: cannot add strings; use join");
    for (const Any& item : collect(arena, input))
        total = calculate(arena, Arithmetic::add, total, path.of(item));
    return total;
}

}  // namespace muster::jinja
