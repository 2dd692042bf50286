#pragma once
// A dynamic value as JSON, YAML and dataset rows give it. Objects keep the order of their keys,
// since Jinja loops and error messages show it. Deep nesting is refused by the parsers, not here.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace muster {

class Value;
using Array = std::vector<Value>;

/// Ordered string-keyed members. Look-up is linear below 16 members and hashed above. Any number of
/// threads may read one object at a time.
class Object {
 public:
    Object();
    ~Object();
    Object(const Object&);
    Object(Object&&) noexcept;
    Object& operator=(const Object&);
    Object& operator=(Object&&) noexcept;

    /// The member named `key`, or nullptr.
    const Value* find(std::string_view key) const;
    Value* find(std::string_view key);
    bool contains(std::string_view key) const { return find(key) != nullptr; }
    /// Sets or appends.
    void set(std::string key, Value value);
    void erase(std::string_view key);
    const std::vector<std::pair<std::string, Value>>& members() const { return members_; }
    std::size_t size() const;
    bool empty() const { return size() == 0; }
    /// Equal members in any order.
    bool operator==(const Object& other) const;

 private:
    std::size_t position_of(std::string_view key) const;
    void insert_slot(std::size_t position);
    void rebuild_slots();

    std::vector<std::pair<std::string, Value>> members_;
    std::vector<std::uint64_t> slots_;  // hash table of positions in members_; empty when small
};

class Value {
 public:
    enum class Kind { null, boolean, integer, real, string, array, object };

    Value() = default;
    Value(std::nullptr_t) {}
    Value(bool v) : data_(v) {}
    Value(int v) : data_(std::int64_t{v}) {}
    Value(std::int64_t v) : data_(v) {}
    Value(double v) : data_(v) {}
    Value(const char* v) : data_(std::string(v)) {}
    Value(std::string v) : data_(std::move(v)) {}
    Value(std::string_view v) : data_(std::string(v)) {}
    Value(Array v) : data_(std::move(v)) {}
    Value(Object v) : data_(std::move(v)) {}

    Kind kind() const { return static_cast<Kind>(data_.index()); }
    bool is_null() const { return kind() == Kind::null; }
    bool is_bool() const { return kind() == Kind::boolean; }
    bool is_integer() const { return kind() == Kind::integer; }
    bool is_real() const { return kind() == Kind::real; }
    bool is_number() const { return is_integer() || is_real(); }
    bool is_string() const { return kind() == Kind::string; }
    bool is_array() const { return kind() == Kind::array; }
    bool is_object() const { return kind() == Kind::object; }

    /// Unchecked access: the caller has asked kind(). A wrong kind throws std::bad_variant_access.
    bool as_bool() const { return std::get<bool>(data_); }
    std::int64_t as_integer() const { return std::get<std::int64_t>(data_); }
    /// An integer or a real as double.
    double as_real() const;
    const std::string& as_string() const { return std::get<std::string>(data_); }
    const Array& as_array() const { return std::get<Array>(data_); }
    Array& as_array() { return std::get<Array>(data_); }
    const Object& as_object() const { return std::get<Object>(data_); }
    Object& as_object() { return std::get<Object>(data_); }

    /// Member `key` of an object, or nullptr (also for other kinds).
    const Value* find(std::string_view key) const;
    /// Same kind and content: 1 and 1.0 differ, NaN differs from itself.
    bool operator==(const Value& other) const;

 private:
    std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> data_;
};

/// "an object", "a string", … for messages.
std::string_view kind_name(Value::Kind kind);

}  // namespace muster
