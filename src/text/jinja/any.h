#pragma once
// Values while a template runs. An Any is a small trivially copyable handle: texts, lists and dicts
// of the context are referred to where they stand, and everything that rendering makes lives in the
// render's Arena until the render ends. So nothing is counted, copied or freed one by one, and
// values that contain themselves do no harm.

#include <array>
#include <cstdint>
#include <memory_resource>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "muster/config/value.h"

namespace muster::jinja {

class Sequence;
class Mapping;
class Thing;

/// Why a value is undefined; decides the message when it is used.
enum class Missing : std::uint8_t { variable, attribute, message };

class Any {
 public:
    enum class Kind : std::uint8_t {
        undefined,
        none,
        boolean,
        integer,
        real,
        text,
        sequence,
        mapping,
        thing
    };

    Any() : kind_(Kind::none) {}
    Any(bool v) : kind_(Kind::boolean) { data_.boolean = v; }
    Any(std::int64_t v) : kind_(Kind::integer) { data_.integer = v; }
    Any(double v) : kind_(Kind::real) { data_.real = v; }
    /// The bytes must outlive the render: from the context, the template or the arena.
    Any(std::string_view v) : kind_(Kind::text) { data_.text = {v.data(), v.size()}; }
    Any(Sequence* v) : kind_(Kind::sequence) { data_.sequence = v; }
    Any(Mapping* v) : kind_(Kind::mapping) { data_.mapping = v; }
    Any(Thing* v) : kind_(Kind::thing) { data_.thing = v; }
    Any(const char*) = delete;

    /// `name` is the variable's or attribute's name or the whole message; `owner` what lacks the
    /// attribute. A strict one may not even be printed or compared.
    static Any undefined(Missing why, bool strict, std::string_view name,
                         std::string_view owner = {});

    Kind kind() const { return kind_; }
    bool is_undefined() const { return kind_ == Kind::undefined; }
    bool is_none() const { return kind_ == Kind::none; }
    bool is_boolean() const { return kind_ == Kind::boolean; }
    bool is_integer() const { return kind_ == Kind::integer; }
    bool is_real() const { return kind_ == Kind::real; }
    /// An int or a bool, which Python counts as one.
    bool is_integral() const { return is_integer() || is_boolean(); }
    bool is_number() const { return is_integral() || is_real(); }
    bool is_text() const { return kind_ == Kind::text; }
    bool is_sequence() const { return kind_ == Kind::sequence; }
    bool is_mapping() const { return kind_ == Kind::mapping; }
    bool is_thing() const { return kind_ == Kind::thing; }

    // Unchecked: the caller has asked kind().
    bool boolean() const { return data_.boolean; }
    /// Of an integer or a boolean.
    std::int64_t integer() const { return is_boolean() ? data_.boolean : data_.integer; }
    /// Of any number.
    double real() const { return is_real() ? data_.real : static_cast<double>(integer()); }
    std::string_view text() const { return {data_.text.data, data_.text.size}; }
    Sequence& sequence() const { return *data_.sequence; }
    Mapping& mapping() const { return *data_.mapping; }
    Thing& thing() const { return *data_.thing; }
    /// True if both are the same object, as Python's `is` has it.
    bool same_as(const Any& other) const;

    bool strict() const { return strict_; }
    /// Of an undefined: "'x' is undefined", "'dict object' has no attribute 'x'".
    std::string undefined_message() const;

 private:
    struct TextData {
        const char* data;
        std::size_t size;
    };
    struct UndefinedData {
        const char* name;
        std::uint32_t size;
        std::uint32_t owner_size;  // `owner` names a type and stands in static storage
    };
    Kind kind_;
    Missing why_ = Missing::variable;
    bool strict_ = false;
    const char* owner_ = nullptr;
    union {
        bool boolean;
        std::int64_t integer;
        double real;
        TextData text;
        UndefinedData undefined;
        Sequence* sequence;
        Mapping* mapping;
        Thing* thing;
    } data_ = {};
};

/// Python's name of the value's type: "str", "dict", "NoneType".
std::string_view type_name(const Any& value);

/// Memory and steps of one render. Throws UserError beyond their limits.
class Arena {
 public:
    static constexpr std::size_t kLimitBytes = std::size_t{512} << 20;
    static constexpr std::uint64_t kLimitSteps = 10'000'000;
    static constexpr std::size_t kLimitText = std::size_t{64} << 20;

    Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    /// Counts `steps` of work.
    void charge(std::uint64_t steps) {
        steps_ += steps;
        if (steps_ > kLimitSteps) fail_steps();
    }
    std::pmr::memory_resource* memory() { return &pool_; }
    /// Throws UserError if `count` texts of `size` bytes are more than one text may hold.
    static void require_room(std::size_t size, std::size_t count);
    /// Copies `text` into the arena.
    std::string_view keep(std::string_view text);
    Any text(std::string_view text) { return Any(keep(text)); }
    Any list(std::pmr::vector<Any> items);
    Any tuple(std::pmr::vector<Any> items);
    /// The context's value, by reference.
    Any wrap(const Value& value);
    /// An object that is never destroyed: it may own arena memory only.
    template <typename T, typename... Args>
    T* make(Args&&... args) {
        return new (pool_.allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
    }
    std::pmr::vector<Any> items() { return std::pmr::vector<Any>(&pool_); }

 private:
    /// Hands out heap memory up to the limit.
    class Bounded : public std::pmr::memory_resource {
        void* do_allocate(std::size_t bytes, std::size_t alignment) override;
        void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override;
        bool do_is_equal(const memory_resource& other) const noexcept override {
            return this == &other;
        }
        std::size_t used_ = 0;
    };
    [[noreturn]] static void fail_steps();

    std::uint64_t steps_ = 0;
    Bounded heap_;
    alignas(std::max_align_t) std::byte first_[4096];
    std::pmr::monotonic_buffer_resource pool_;
};

/// A list, a tuple or something else that gives items one by one.
class Sequence {
 public:
    enum class Kind : std::uint8_t { list, tuple, group, range, generator, keys, values, items };

    Sequence(Kind kind, std::pmr::vector<Any> items) : kind_(kind), items_(std::move(items)) {}
    /// range(first, stop, step), whose numbers are `items`.
    Sequence(std::pmr::vector<Any> items, const std::array<std::int64_t, 3>& bounds)
        : kind_(Kind::range), items_(std::move(items)), bounds_(bounds) {}
    Sequence(const Array& borrowed, std::pmr::memory_resource* memory)
        : kind_(Kind::list), items_(memory), borrowed_(&borrowed) {}

    Kind kind() const { return kind_; }
    bool is_list() const { return kind_ == Kind::list; }
    /// A tuple, also one of groupby with its names `grouper` and `list`.
    bool is_tuple() const { return kind_ == Kind::tuple || kind_ == Kind::group; }
    std::size_t size() const { return borrowed_ ? borrowed_->size() : items_.size(); }
    Any at(Arena& arena, std::size_t i) const {
        return borrowed_ ? arena.wrap((*borrowed_)[i]) : items_[i];
    }
    /// The items of a list made by the template. Throws UserError for one of the context.
    std::pmr::vector<Any>& changeable();
    const std::array<std::int64_t, 3>& bounds() const { return bounds_; }
    /// Python's generators give their items once.
    bool take_once();
    bool same_as(const Sequence& other) const {
        return this == &other || (borrowed_ && borrowed_ == other.borrowed_);
    }

 private:
    Kind kind_;
    bool taken_ = false;
    std::pmr::vector<Any> items_;
    const Array* borrowed_ = nullptr;
    std::array<std::int64_t, 3> bounds_{};
};

/// A dict in insertion order. Keys are looked up linearly: dicts in templates are small.
class Mapping {
 public:
    using Member = std::pair<Any, Any>;

    explicit Mapping(std::pmr::memory_resource* memory) : members_(memory) {}
    Mapping(const Object& borrowed, std::pmr::memory_resource* memory)
        : members_(memory), borrowed_(&borrowed) {}

    std::size_t size() const { return borrowed_ ? borrowed_->size() : members_.size(); }
    Any key(std::size_t i) const;
    Any value(Arena& arena, std::size_t i) const;
    /// True and the value in `out` if there is `key`.
    bool find(Arena& arena, const Any& key, Any& out) const;
    /// Throw UserError for a dict of the context and for a key that Python cannot hash.
    void set(Arena& arena, const Any& key, const Any& value);
    bool erase(Arena& arena, const Any& key);
    void clear() { changeable().clear(); }
    bool same_as(const Mapping& other) const {
        return this == &other || (borrowed_ && borrowed_ == other.borrowed_);
    }

 private:
    std::pmr::vector<Member>& changeable();
    std::pmr::vector<Member> members_;
    const Object* borrowed_ = nullptr;
};

class Evaluator;
class Arguments;

/// Everything else: macros, namespaces, loop, functions. Lives in the arena and is never destroyed.
class Thing {
 public:
    /// True and the attribute in `out` if there is one.
    virtual bool attribute(Evaluator&, std::string_view, Any&) { return false; }
    virtual bool callable() const { return false; }
    virtual Any call(Evaluator& evaluator, const Arguments& arguments);
    virtual std::string_view type() const = 0;
    /// repr(value) inside of `depth` others.
    virtual std::string repr(Arena& arena, int depth);

 protected:
    ~Thing() = default;
};

}  // namespace muster::jinja
