#include <algorithm>

#include "evaluator.h"
#include "filter_functions.h"
#include "iteration.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/text/python_string.h"
#include "operators.h"

// Filters that compare items: texts without regard to case unless case_sensitive is given.

namespace muster::jinja {

namespace {

Any fold_case(Arena& arena, const Any& value, bool case_sensitive) {
    return value.is_text() && !case_sensitive ? arena.text(python_lower(value.text())) : value;
}

struct Keyed {
    Any key, item;
};

void sort_by_key(Arena& arena, std::vector<Keyed>& keyed, bool reverse) {
    std::stable_sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
        return reverse ? less(arena, b.key, a.key) : less(arena, a.key, b.key);
    });
}

/// The key of `sort`: one value, or a tuple of them for "a,b".
class SortKey {
 public:
    SortKey(Evaluator& evaluator, const Any& attribute, bool case_sensitive)
        : arena_(evaluator.arena()), case_sensitive_(case_sensitive) {
        if (!attribute.is_text()) {
            paths_.emplace_back(evaluator, attribute);
            return;
        }
        for (const std::string& path : python_split(attribute.text(), ",")) {
            paths_.emplace_back(evaluator, arena_.text(path));
        }
    }

    Any of(const Any& item) const {
        std::pmr::vector<Any> keys = arena_.items();
        for (const AttributePath& path : paths_)
            keys.push_back(fold_case(arena_, path.of(item), case_sensitive_));
        return paths_.size() == 1 ? keys[0] : arena_.list(std::move(keys));
    }

 private:
    Arena& arena_;
    bool case_sensitive_;
    std::vector<AttributePath> paths_;
};

Any list_of_items(Arena& arena, const std::vector<Keyed>& keyed) {
    std::pmr::vector<Any> items = arena.items();
    items.reserve(keyed.size());
    for (const Keyed& entry : keyed) items.push_back(entry.item);
    return arena.list(std::move(items));
}

Any extreme(Evaluator& evaluator, const Any& input, const Arguments& arguments, bool largest) {
    Arena& arena = evaluator.arena();
    const Bound bound(largest ? "max" : "min", arguments, {"case_sensitive", "attribute"});
    const AttributePath path(evaluator, bound.any(1));
    Any best, best_key;
    bool found = false;
    for (const Any& item : collect(arena, input)) {
        const Any key = fold_case(arena, path.of(item), bound.boolean(0));
        if (!found || (largest ? less(arena, best_key, key) : less(arena, key, best_key))) {
            best = item;
            best_key = key;
            found = true;
        }
    }
    return found ? best : evaluator.undefined("No aggregated item, sequence was empty.");
}

}  // namespace

Any filter_dictsort(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    Arena& arena = evaluator.arena();
    const Bound bound("dictsort", arguments, {"case_sensitive", "by", "reverse"});
    const std::string_view by = bound.text(1, "key");
    if (by != "key" && by != "value")
        throw UserError("dictsort: can sort by \"key\" or \"value\" only");
    require_defined(input);
    if (!input.is_mapping())
        throw UserError(cat("dictsort: expected a dict, got '", type_name(input), "'"));
    const Mapping& mapping = input.mapping();
    std::vector<Keyed> keyed;
    for (std::size_t i = 0; i < mapping.size(); ++i) {
        arena.charge(1);
        std::pmr::vector<Any> pair = arena.items();
        pair.push_back(mapping.key(i));
        pair.push_back(mapping.value(arena, i));
        const Any key = fold_case(arena, pair[by == "key" ? 0 : 1], bound.boolean(0));
        keyed.push_back({key, arena.tuple(std::move(pair))});
    }
    sort_by_key(arena, keyed, bound.boolean(2));
    return list_of_items(arena, keyed);
}

Any filter_sort(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    const Bound bound("sort", arguments, {"reverse", "case_sensitive", "attribute"});
    const SortKey key(evaluator, bound.any(2), bound.boolean(1));
    std::vector<Keyed> keyed;
    for (const Any& item : collect(evaluator.arena(), input)) keyed.push_back({key.of(item), item});
    sort_by_key(evaluator.arena(), keyed, bound.boolean(0));
    return list_of_items(evaluator.arena(), keyed);
}

Any filter_unique(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    Arena& arena = evaluator.arena();
    const Bound bound("unique", arguments, {"case_sensitive", "attribute"});
    const AttributePath path(evaluator, bound.any(1));
    std::pmr::vector<Any> seen = arena.items(), kept = arena.items();
    for (const Any& item : collect(arena, input)) {
        const Any key = fold_case(arena, path.of(item), bound.boolean(0));
        arena.charge(1 + seen.size() / 8);
        const bool known = std::any_of(seen.begin(), seen.end(),
                                       [&](const Any& old) { return equal(arena, old, key); });
        if (known) continue;
        seen.push_back(key);
        kept.push_back(item);
    }
    return Any(arena.make<Sequence>(Sequence::Kind::generator, std::move(kept)));
}

Any filter_groupby(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    Arena& arena = evaluator.arena();
    const Bound bound("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
    const AttributePath path(evaluator, bound.any(0));
    const auto value_of = [&](const Any& item) {
        const Any value = path.of(item);
        return value.is_undefined() && bound.has(1) ? bound.any(1) : value;
    };
    std::vector<Keyed> keyed;
    for (const Any& item : collect(arena, input)) {
        keyed.push_back({fold_case(arena, value_of(item), bound.boolean(2)), item});
    }
    sort_by_key(arena, keyed, false);
    std::pmr::vector<Any> groups = arena.items();
    for (std::size_t begin = 0, end = 0; begin < keyed.size(); begin = end) {
        std::pmr::vector<Any> members = arena.items();
        for (; end < keyed.size() && equal(arena, keyed[end].key, keyed[begin].key); ++end)
            members.push_back(keyed[end].item);
        std::pmr::vector<Any> group = arena.items();
        group.push_back(value_of(keyed[begin].item));  // the first one's own spelling
        group.push_back(arena.list(std::move(members)));
        groups.push_back(Any(arena.make<Sequence>(Sequence::Kind::group, std::move(group))));
    }
    return arena.list(std::move(groups));
}

Any filter_max(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    return extreme(evaluator, input, arguments, true);
}

Any filter_min(Evaluator& evaluator, const Any& input, const Arguments& arguments) {
    return extreme(evaluator, input, arguments, false);
}

}  // namespace muster::jinja
