#include "json_node.h"

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"

namespace muster {

void JsonNode::fail(const std::string& fact) const {
    throw UserError(cat(place_, ": ", path_.empty() ? "/" : path_, ": ", fact));
}

void JsonNode::fail_type(std::string_view what, const std::vector<std::string>& supported) const {
    fail(cat(what, " \"", type(), "\" is not supported", did_you_mean(type(), supported),
             "; supported: ", join(supported, ", ")));
}

void JsonNode::wrong_kind(std::string_view expected) const {
    fail(cat("expected ", expected, ", got ", kind_name(value_->kind())));
}

const Object& JsonNode::object() const {
    if (!value_->is_object()) wrong_kind("an object");
    return value_->as_object();
}

std::optional<JsonNode> JsonNode::find(std::string_view key) const {
    const Value* member = object().find(key);
    if (member == nullptr || member->is_null()) return std::nullopt;
    return JsonNode(*member, place_, cat(path_, "/", key));
}

JsonNode JsonNode::at(std::string_view key) const {
    if (auto member = find(key)) return *member;
    fail(cat("\"", key, "\" is missing"));
}

std::vector<JsonNode> JsonNode::elements() const {
    if (!value_->is_array()) wrong_kind("an array");
    std::vector<JsonNode> nodes;
    const Array& array = value_->as_array();
    nodes.reserve(array.size());
    for (std::size_t i = 0; i < array.size(); i++) {
        nodes.emplace_back(array[i], place_, cat(path_, "/", i));
    }
    return nodes;
}

const std::string& JsonNode::string() const {
    if (!value_->is_string()) wrong_kind("a string");
    return value_->as_string();
}

std::int64_t JsonNode::integer(std::int64_t min, std::int64_t max) const {
    if (!value_->is_integer()) wrong_kind("an integer");
    const std::int64_t number = value_->as_integer();
    if (number < min || number > max) {
        fail(cat("expected an integer between ", min, " and ", max, ", got ", number));
    }
    return number;
}

std::string JsonNode::string_or(std::string_view key, std::string fallback) const {
    const auto member = find(key);
    return member ? member->string() : std::move(fallback);
}

bool JsonNode::boolean_or(std::string_view key, bool fallback) const {
    const auto member = find(key);
    if (!member) return fallback;
    if (!member->value().is_bool()) member->wrong_kind("a boolean");
    return member->value().as_bool();
}

std::int64_t JsonNode::integer_or(std::string_view key, std::int64_t fallback, std::int64_t min,
                                  std::int64_t max) const {
    const auto member = find(key);
    return member ? member->integer(min, max) : fallback;
}

std::string JsonNode::character_or(std::string_view key, std::string fallback) const {
    const auto member = find(key);
    if (!member) return fallback;
    if (count_code_points(member->string()) != 1) member->fail("expected one character");
    return member->string();
}

const std::string& JsonNode::type() const {
    const Value* type = object().find("type");
    if (type == nullptr || !type->is_string()) fail("\"type\" is missing or not a string");
    return type->as_string();
}

}  // namespace muster
