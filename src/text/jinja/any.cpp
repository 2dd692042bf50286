#include "any.h"

#include <cstring>
#include <new>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/text/python_string.h"
#include "operators.h"

namespace muster::jinja {

Any Any::undefined(Missing why, bool strict, std::string_view name, std::string_view owner) {
    Any any;
    any.kind_ = Kind::undefined;
    any.why_ = why;
    any.strict_ = strict;
    any.owner_ = owner.data();
    any.data_.undefined = {name.data(), static_cast<std::uint32_t>(name.size()),
                           static_cast<std::uint32_t>(owner.size())};
    return any;
}

std::string Any::undefined_message() const {
    const std::string_view name(data_.undefined.name, data_.undefined.size);
    const std::string_view owner(owner_, data_.undefined.owner_size);
    switch (why_) {
        case Missing::variable:
            return python_string_repr(name) + " is undefined";
        case Missing::attribute:
            return cat("'", owner == "NoneType" ? "None" : cat(owner, " object"),
                       "' has no attribute ", python_string_repr(name));
        case Missing::message:
            return std::string(name);
    }
    return {};
}

bool Any::same_as(const Any& other) const {
    if (kind_ != other.kind_) return false;
    switch (kind_) {
        case Kind::undefined:
            return false;
        case Kind::none:
            return true;
        case Kind::boolean:
            return boolean() == other.boolean();
        case Kind::integer:
            return integer() == other.integer();
        case Kind::real:
            return real() == other.real();
        case Kind::text:
            return text() == other.text();
        case Kind::sequence:
            return sequence().same_as(other.sequence());
        case Kind::mapping:
            return mapping().same_as(other.mapping());
        case Kind::thing:
            return &thing() == &other.thing();
    }
    return false;
}

std::string_view type_name(const Any& value) {
    switch (value.kind()) {
        case Any::Kind::undefined:
            return "Undefined";
        case Any::Kind::none:
            return "NoneType";
        case Any::Kind::boolean:
            return "bool";
        case Any::Kind::integer:
            return "int";
        case Any::Kind::real:
            return "float";
        case Any::Kind::text:
            return "str";
        case Any::Kind::mapping:
            return "dict";
        case Any::Kind::thing:
            return value.thing().type();
        case Any::Kind::sequence:
            break;
    }
    switch (value.sequence().kind()) {
        case Sequence::Kind::list:
            return "list";
        case Sequence::Kind::tuple:
        case Sequence::Kind::group:
            return "tuple";
        case Sequence::Kind::range:
            return "range";
        case Sequence::Kind::generator:
            return "generator";
        case Sequence::Kind::keys:
            return "dict_keys";
        case Sequence::Kind::values:
            return "dict_values";
        case Sequence::Kind::items:
            return "dict_items";
    }
    return "object";
}

void Arena::fail_steps() {
    throw UserError(cat("the template takes more than ", format_count(kLimitSteps),
                        " steps; is there a loop that never ends?"));
}

Arena::Arena() : pool_(first_, sizeof first_, &heap_) {}

void* Arena::Bounded::do_allocate(std::size_t bytes, std::size_t alignment) {
    if (bytes > kLimitBytes - used_) {
        throw UserError(
            cat("the template needs more than ", format_bytes(kLimitBytes), " of memory"));
    }
    used_ += bytes;
    return ::operator new(bytes, std::align_val_t(alignment));
}

void Arena::Bounded::do_deallocate(void* p, std::size_t bytes, std::size_t alignment) {
    ::operator delete(p, bytes, std::align_val_t(alignment));
}

void Arena::require_room(std::size_t size, std::size_t count) {
    if (count > 0 && size > kLimitText / count) {
        throw UserError(cat("a text would be larger than ", format_bytes(kLimitText)));
    }
}

std::string_view Arena::keep(std::string_view text) {
    if (text.empty()) return {};
    require_room(text.size(), 1);
    char* copy = static_cast<char*>(pool_.allocate(text.size(), 1));
    std::memcpy(copy, text.data(), text.size());
    return {copy, text.size()};
}

Any Arena::list(std::pmr::vector<Any> items) {
    return make<Sequence>(Sequence::Kind::list, std::move(items));
}

Any Arena::tuple(std::pmr::vector<Any> items) {
    return make<Sequence>(Sequence::Kind::tuple, std::move(items));
}

Any Arena::wrap(const Value& value) {
    switch (value.kind()) {
        case Value::Kind::null:
            return Any();
        case Value::Kind::boolean:
            return Any(value.as_bool());
        case Value::Kind::integer:
            return Any(value.as_integer());
        case Value::Kind::real:
            return Any(value.as_real());
        case Value::Kind::string:
            return Any(std::string_view(value.as_string()));
        case Value::Kind::array:
            return Any(make<Sequence>(value.as_array(), &pool_));
        case Value::Kind::object:
            return Any(make<Mapping>(value.as_object(), &pool_));
    }
    return Any();
}

std::pmr::vector<Any>& Sequence::changeable() {
    if (borrowed_)
        throw UserError("a list of the context cannot be changed; copy it first with |list");
    return items_;
}

bool Sequence::take_once() {
    if (kind_ != Kind::generator) return true;
    return !std::exchange(taken_, true);
}

Any Mapping::key(std::size_t i) const {
    return borrowed_ ? Any(std::string_view(borrowed_->members()[i].first)) : members_[i].first;
}

Any Mapping::value(Arena& arena, std::size_t i) const {
    return borrowed_ ? arena.wrap(borrowed_->members()[i].second) : members_[i].second;
}

namespace {

void require_hashable(const Any& key) {
    if (key.is_mapping() || (key.is_sequence() && key.sequence().is_list())) {
        throw UserError(
            cat("unhashable type: '", type_name(key), "'; expected a string or a number as key"));
    }
}

}  // namespace

bool Mapping::find(Arena& arena, const Any& key, Any& out) const {
    if (borrowed_) {
        const Value* value = key.is_text() ? borrowed_->find(key.text()) : nullptr;
        if (value) out = arena.wrap(*value);
        return value != nullptr;
    }
    require_hashable(key);
    arena.charge(members_.size() / 8);
    for (const Member& member : members_) {
        if (equal(arena, member.first, key)) {
            out = member.second;
            return true;
        }
    }
    return false;
}

std::pmr::vector<Mapping::Member>& Mapping::changeable() {
    if (borrowed_)
        throw UserError("a dict of the context cannot be changed; copy it first with dict(…)");
    return members_;
}

void Mapping::set(Arena& arena, const Any& key, const Any& value) {
    require_hashable(key);
    arena.charge(1 + members_.size() / 8);
    for (Member& member : changeable()) {
        if (equal(arena, member.first, key)) {
            member.second = value;
            return;
        }
    }
    members_.emplace_back(key, value);
}

bool Mapping::erase(Arena& arena, const Any& key) {
    arena.charge(1 + members_.size() / 8);
    std::pmr::vector<Member>& members = changeable();
    for (auto member = members.begin(); member != members.end(); ++member) {
        if (equal(arena, member->first, key)) {
            members.erase(member);
            return true;
        }
    }
    return false;
}

Any Thing::call(Evaluator&, const Arguments&) {
    throw UserError(cat("'", type(), "' object is not callable"));
}

std::string Thing::repr(Arena&, int) {
    return cat("<", type(), ">");
}

}  // namespace muster::jinja
