#include "methods.h"

#include <algorithm>

#include "evaluator.h"
#include "iteration.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "operators.h"
#include "string_methods.h"

namespace muster::jinja {

namespace {

using ListMethod = Any (*)(Arena&, Sequence&, const Arguments&);
using DictMethod = Any (*)(Arena&, Mapping&, const Arguments&);

/// The position of `value` in the sequence. Throws UserError if it is not there.
std::size_t index_of(Arena& arena, const Sequence& sequence, const Any& value) {
    for (std::size_t i = 0; i < sequence.size(); ++i) {
        arena.charge(1);
        if (equal(arena, sequence.at(arena, i), value)) return i;
    }
    throw UserError("index(): the value is not in the list");
}

Any list_count(Arena& arena, Sequence& sequence, const Arguments& arguments) {
    const Any value = Bound("count", arguments, {"value"}, 1).any(0);
    std::int64_t count = 0;
    for (std::size_t i = 0; i < sequence.size(); ++i) {
        arena.charge(1);
        count += equal(arena, sequence.at(arena, i), value);
    }
    return Any(count);
}

Any list_index(Arena& arena, Sequence& sequence, const Arguments& arguments) {
    return Any(static_cast<std::int64_t>(
        index_of(arena, sequence, Bound("index", arguments, {"value"}, 1).any(0))));
}

Any list_append(Arena& arena, Sequence& sequence, const Arguments& arguments) {
    arena.charge(1);
    sequence.changeable().push_back(Bound("append", arguments, {"object"}, 1).any(0));
    return Any();
}

Any list_extend(Arena& arena, Sequence& sequence, const Arguments& arguments) {
    const std::pmr::vector<Any> more =
        collect(arena, Bound("extend", arguments, {"iterable"}, 1).any(0));
    std::pmr::vector<Any>& items = sequence.changeable();
    items.insert(items.end(), more.begin(), more.end());
    return Any();
}

/// A Python index into `size` items, negative from the end, or npos.
std::size_t position(std::int64_t index, std::size_t size) {
    if (index < 0) index += static_cast<std::int64_t>(size);
    return index < 0 || index >= static_cast<std::int64_t>(size) ? std::string::npos
                                                                 : static_cast<std::size_t>(index);
}

Any list_pop(Arena& arena, Sequence& sequence, const Arguments& arguments) {
    std::pmr::vector<Any>& items = sequence.changeable();
    const std::size_t at =
        position(Bound("pop", arguments, {"index"}).integer(0, -1), items.size());
    if (at == std::string::npos) throw UserError("pop(): the index is out of range");
    arena.charge(1 + (items.size() - at) / 16);
    const Any value = items[at];
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(at));
    return value;
}

Any list_insert(Arena& arena, Sequence& sequence, const Arguments& arguments) {
    const Bound bound("insert", arguments, {"index", "object"}, 2);
    std::pmr::vector<Any>& items = sequence.changeable();
    const std::int64_t size = static_cast<std::int64_t>(items.size());
    std::int64_t at = bound.integer(0);
    if (at < 0) at = std::max<std::int64_t>(0, at + size);
    arena.charge(1 + items.size() / 16);
    items.insert(items.begin() + std::min(at, size), bound.any(1));
    return Any();
}

Any list_remove(Arena& arena, Sequence& sequence, const Arguments& arguments) {
    std::pmr::vector<Any>& items = sequence.changeable();
    const std::size_t at =
        index_of(arena, sequence, Bound("remove", arguments, {"value"}, 1).any(0));
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(at));
    return Any();
}

Any list_reverse(Arena& arena, Sequence& sequence, const Arguments& arguments) {
    const Bound bound("reverse", arguments, {});
    arena.charge(1 + sequence.size() / 16);
    std::reverse(sequence.changeable().begin(), sequence.changeable().end());
    return Any();
}

Any list_clear(Arena&, Sequence& sequence, const Arguments& arguments) {
    const Bound bound("clear", arguments, {});
    sequence.changeable().clear();
    return Any();
}

Any list_copy(Arena& arena, Sequence& sequence, const Arguments& arguments) {
    const Bound bound("copy", arguments, {});
    return arena.list(collect(arena, Any(&sequence)));
}

Any view_of(Arena& arena, const Mapping& mapping, Sequence::Kind kind) {
    std::pmr::vector<Any> items = arena.items();
    arena.charge(mapping.size());
    items.reserve(mapping.size());
    for (std::size_t i = 0; i < mapping.size(); ++i) {
        if (kind == Sequence::Kind::keys) {
            items.push_back(mapping.key(i));
        } else if (kind == Sequence::Kind::values) {
            items.push_back(mapping.value(arena, i));
        } else {
            std::pmr::vector<Any> pair = arena.items();
            pair.reserve(2);
            pair.push_back(mapping.key(i));
            pair.push_back(mapping.value(arena, i));
            items.push_back(arena.tuple(std::move(pair)));
        }
    }
    return Any(arena.make<Sequence>(kind, std::move(items)));
}

Any dict_get(Arena& arena, Mapping& mapping, const Arguments& arguments) {
    const Bound bound("get", arguments, {"key", "default"}, 1);
    Any value;
    return mapping.find(arena, bound.any(0), value) ? value : bound.any(1);
}

Any dict_pop(Arena& arena, Mapping& mapping, const Arguments& arguments) {
    const Bound bound("pop", arguments, {"key", "default"}, 1);
    Any value;
    if (mapping.find(arena, bound.any(0), value)) {
        mapping.erase(arena, bound.any(0));
        return value;
    }
    if (!bound.has(1)) throw UserError("pop(): there is no such key");
    return bound.any(1);
}

Any dict_setdefault(Arena& arena, Mapping& mapping, const Arguments& arguments) {
    const Bound bound("setdefault", arguments, {"key", "default"}, 1);
    Any value;
    if (mapping.find(arena, bound.any(0), value)) return value;
    mapping.set(arena, bound.any(0), bound.any(1));
    return bound.any(1);
}

Any dict_update(Arena& arena, Mapping& mapping, const Arguments& arguments) {
    for (const Any& source : arguments.positional) {
        if (!source.is_mapping())
            throw UserError(cat("update() needs a dict, got '", type_name(source), "'"));
        for (std::size_t i = 0; i < source.mapping().size(); ++i) {
            mapping.set(arena, source.mapping().key(i), source.mapping().value(arena, i));
        }
    }
    for (const auto& [name, value] : arguments.named) mapping.set(arena, Any(name), value);
    return Any();
}

Any dict_copy(Arena& arena, Mapping& mapping, const Arguments& arguments) {
    const Bound bound("copy", arguments, {});
    Mapping* const copy = arena.make<Mapping>(arena.memory());
    for (std::size_t i = 0; i < mapping.size(); ++i)
        copy->set(arena, mapping.key(i), mapping.value(arena, i));
    return Any(copy);
}

template <Sequence::Kind kind>
Any dict_view(Arena& arena, Mapping& mapping, const Arguments& arguments) {
    const Bound bound("items", arguments, {});
    return view_of(arena, mapping, kind);
}

Any dict_clear(Arena&, Mapping& mapping, const Arguments& arguments) {
    const Bound bound("clear", arguments, {});
    mapping.clear();
    return Any();
}

}  // namespace

struct MethodEntry {
    std::string_view name;
    TextMethod text;
    ListMethod list;
    bool of_tuples;  ///< of lists and tuples alike
    DictMethod dict;
    bool changes;
};

namespace {

struct CollectionRow {
    std::string_view name;
    ListMethod list;
    bool of_tuples;
    DictMethod dict;
    bool changes;
};

// One line per method.
constexpr CollectionRow kCollectionMethods[] = {
    {"append", list_append, false, nullptr, true},
    {"clear", list_clear, false, dict_clear, true},
    {"copy", list_copy, false, dict_copy, false},
    {"count", list_count, true, nullptr, false},
    {"extend", list_extend, false, nullptr, true},
    {"get", nullptr, false, dict_get, false},
    {"index", list_index, true, nullptr, false},
    {"insert", list_insert, false, nullptr, true},
    {"items", nullptr, false, dict_view<Sequence::Kind::items>, false},
    {"keys", nullptr, false, dict_view<Sequence::Kind::keys>, false},
    {"pop", list_pop, false, dict_pop, true},
    {"remove", list_remove, false, nullptr, true},
    {"reverse", list_reverse, false, nullptr, true},
    {"setdefault", nullptr, false, dict_setdefault, true},
    {"update", nullptr, false, dict_update, true},
    {"values", nullptr, false, dict_view<Sequence::Kind::values>, false},
};

/// Every method name once, with what each type does under it.
const std::vector<MethodEntry>& entries() {
    static const std::vector<MethodEntry> table = [] {
        std::vector<MethodEntry> all;
        for (const CollectionRow& row : kCollectionMethods) {
            all.push_back({row.name, find_text_method(row.name), row.list, row.of_tuples, row.dict,
                           row.changes});
        }
        for (const std::string_view name : text_method_names()) {
            const bool known = std::any_of(all.begin(), all.end(),
                                           [&](const MethodEntry& e) { return e.name == name; });
            if (!known)
                all.push_back({name, find_text_method(name), nullptr, false, nullptr, false});
        }
        return all;
    }();
    return table;
}

}  // namespace

Method find_method(std::string_view name) {
    for (const MethodEntry& entry : entries()) {
        if (entry.name == name) return &entry;
    }
    return nullptr;
}

bool has_method(const Any& object, Method method) {
    if (object.is_text()) return method->text != nullptr;
    if (object.is_mapping()) return method->dict != nullptr;
    if (!object.is_sequence() || !method->list) return false;
    return object.sequence().is_list() || (method->of_tuples && object.sequence().is_tuple());
}

Any call_method(Evaluator& evaluator, const Any& object, Method method,
                const Arguments& arguments) {
    Arena& arena = evaluator.arena();
    if (object.is_text()) {
        arena.charge(object.text().size() / 64);
        return method->text(arena, object.text(), arguments);
    }
    if (method->changes && evaluator.options().sandboxed) {
        throw UserError(cat("access to attribute '", method->name, "' of '", type_name(object),
                            "' object is unsafe; a chat template may not change lists and dicts"));
    }
    if (object.is_mapping()) return method->dict(arena, object.mapping(), arguments);
    return method->list(arena, object.sequence(), arguments);
}

}  // namespace muster::jinja
