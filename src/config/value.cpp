// The hash table of a large Object: open addressing over slots that hold the upper half of a key's
// hash and its position + 1 in members_ (0: free), at most half full. Keys stay in members_ alone.
#include "muster/config/value.h"

#include <algorithm>
#include <functional>

#include "muster/base/error.h"

namespace muster {

namespace {

constexpr std::size_t kLinearLimit = 16;
constexpr std::size_t kAbsent = static_cast<std::size_t>(-1);

std::uint64_t hash_of(std::string_view key) {
    return std::hash<std::string_view>{}(key);
}
std::uint64_t make_slot(std::uint64_t hash, std::size_t position) {
    return (hash & 0xFFFFFFFF00000000u) | (position + 1);
}

}  // namespace

Object::Object() = default;
Object::~Object() = default;
Object::Object(const Object&) = default;
Object::Object(Object&&) noexcept = default;
Object& Object::operator=(const Object&) = default;
Object& Object::operator=(Object&&) noexcept = default;

std::size_t Object::size() const {
    return members_.size();
}

std::size_t Object::position_of(std::string_view key) const {
    if (slots_.empty()) {
        for (std::size_t i = 0; i < members_.size(); ++i)
            if (members_[i].first == key) return i;
        return kAbsent;
    }
    std::uint64_t hash = hash_of(key);
    std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask; slots_[at] != 0; at = (at + 1) & mask) {
        std::size_t position = (slots_[at] & 0xFFFFFFFFu) - 1;
        if (slots_[at] == make_slot(hash, position) && members_[position].first == key)
            return position;
    }
    return kAbsent;
}

void Object::insert_slot(std::size_t position) {
    std::uint64_t hash = hash_of(members_[position].first);
    std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    while (slots_[at] != 0) at = (at + 1) & mask;
    slots_[at] = make_slot(hash, position);
}

void Object::rebuild_slots() {
    slots_.clear();
    if (members_.size() <= kLinearLimit) return;
    std::size_t wanted = 64;
    while (wanted < members_.size() * 4) wanted *= 2;
    slots_.resize(wanted);
    for (std::size_t i = 0; i < members_.size(); ++i) insert_slot(i);
}

const Value* Object::find(std::string_view key) const {
    std::size_t position = position_of(key);
    return position == kAbsent ? nullptr : &members_[position].second;
}

Value* Object::find(std::string_view key) {
    std::size_t position = position_of(key);
    return position == kAbsent ? nullptr : &members_[position].second;
}

void Object::set(std::string key, Value value) {
    if (Value* present = find(key)) {
        *present = std::move(value);
        return;
    }
    if (members_.size() >= 0xFFFFFFFEu) throw UserError("an object has more than 4294967294 keys");
    members_.emplace_back(std::move(key), std::move(value));
    if (members_.size() <= kLinearLimit) return;
    if (members_.size() * 2 > slots_.size())
        rebuild_slots();
    else
        insert_slot(members_.size() - 1);
}

void Object::erase(std::string_view key) {
    std::size_t position = position_of(key);
    if (position == kAbsent) return;
    members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(position));
    rebuild_slots();
}

bool Object::operator==(const Object& other) const {
    if (size() != other.size()) return false;
    return std::all_of(members_.begin(), members_.end(), [&other](const auto& member) {
        const Value* value = other.find(member.first);
        return value != nullptr && *value == member.second;
    });
}

double Value::as_real() const {
    return is_integer() ? static_cast<double>(as_integer()) : std::get<double>(data_);
}

const Value* Value::find(std::string_view key) const {
    const Object* object = std::get_if<Object>(&data_);
    return object == nullptr ? nullptr : object->find(key);
}

bool Value::operator==(const Value& other) const {
    return data_ == other.data_;
}

std::string_view kind_name(Value::Kind kind) {
    switch (kind) {
        case Value::Kind::null:
            return "null";
        case Value::Kind::boolean:
            return "a boolean";
        case Value::Kind::integer:
            return "an integer";
        case Value::Kind::real:
            return "a real number";
        case Value::Kind::string:
            return "a string";
        case Value::Kind::array:
            return "an array";
        case Value::Kind::object:
            return "an object";
    }
    return "an unknown kind";
}

}  // namespace muster
