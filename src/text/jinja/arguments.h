#pragma once
// Arguments of a call, and how a callee takes them.

#include <array>
#include <initializer_list>
#include <string_view>

#include "any.h"

namespace muster::jinja {

class Arguments {
 public:
    explicit Arguments(Arena& arena) : positional(arena.memory()), named(arena.memory()) {}

    std::pmr::vector<Any> positional;
    std::pmr::vector<std::pair<std::string_view, Any>> named;

    const Any* find_named(std::string_view name) const;
};

/// Arguments matched with the names of a callee's parameters.
class Bound {
 public:
    static constexpr std::size_t kMaxParameters = 6;

    /// Throws UserError, naming `callee`, for surplus, unknown, repeated or missing arguments. The
    /// first `required` parameters must be given.
    Bound(std::string_view callee, const Arguments& arguments,
          std::initializer_list<std::string_view> parameters, std::size_t required = 0);

    bool has(std::size_t i) const { return values_[i] != nullptr; }
    /// The `i`th parameter's value, or none.
    Any any(std::size_t i) const { return values_[i] ? *values_[i] : Any(); }
    Any any(std::size_t i, const Any& fallback) const {
        return values_[i] ? *values_[i] : fallback;
    }
    /// Throw UserError for a value of another kind.
    std::int64_t integer(std::size_t i, std::int64_t fallback = 0) const;
    std::string_view text(std::size_t i, std::string_view fallback = {}) const;
    bool boolean(std::size_t i, bool fallback = false) const;

 private:
    [[noreturn]] void fail_kind(std::size_t i, std::string_view expected) const;

    std::string_view callee_;
    std::array<std::string_view, kMaxParameters> names_;
    std::array<const Any*, kMaxParameters> values_{};
};

}  // namespace muster::jinja
