#pragma once
// A Value together with its place in tokenizer.json, so that every complaint can say
// `tokenizer.json: /model/merges/17: …`. Owned by nobody: the Value must outlive it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "muster/config/value.h"

namespace muster {

class JsonNode {
 public:
    JsonNode(const Value& value, std::string place, std::string path = "")
        : value_(&value), place_(std::move(place)), path_(std::move(path)) {}

    const Value& value() const { return *value_; }
    bool is_null() const { return value_->is_null(); }

    /// The member, or nothing if it is absent or null. Throws UserError if this is not an object.
    std::optional<JsonNode> find(std::string_view key) const;
    /// The member; absent is a UserError.
    JsonNode at(std::string_view key) const;
    /// Elements of an array.
    std::vector<JsonNode> elements() const;

    const std::string& string() const;
    std::int64_t integer(std::int64_t min, std::int64_t max) const;
    std::string string_or(std::string_view key, std::string fallback) const;
    bool boolean_or(std::string_view key, bool fallback) const;
    std::int64_t integer_or(std::string_view key, std::int64_t fallback, std::int64_t min,
                            std::int64_t max) const;
    /// A string of exactly one code point under `key`.
    std::string character_or(std::string_view key, std::string fallback) const;
    /// The string under "type".
    const std::string& type() const;

    /// Throws UserError at this place.
    [[noreturn]] void fail(const std::string& fact) const;
    /// Throws UserError for a "type" that is none of `supported`.
    [[noreturn]] void fail_type(std::string_view what,
                                const std::vector<std::string>& supported) const;

 private:
    const Object& object() const;
    [[noreturn]] void wrong_kind(std::string_view expected) const;

    const Value* value_;
    std::string place_, path_;
};

/// Largest id that is accepted: far above every vocabulary, low enough to size arrays by.
constexpr std::int64_t kMaxTokenId = (1 << 22) - 1;

}  // namespace muster
