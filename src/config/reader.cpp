#include "muster/config/reader.h"

#include <algorithm>
#include <map>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/config/parse.h"

namespace muster {

struct ConfigReader::Scope {
    std::vector<std::string> keys;   // that the object has
    std::vector<std::string> asked;  // that somebody knows
    bool rest_ignored = false;
};

struct ConfigReader::Shared {
    std::vector<std::string> problems;
    std::map<std::string, std::shared_ptr<Scope>> scopes;  // by path
};

namespace {

// A key as JSON pointers write it (RFC 6901).
std::string pointer_part(std::string_view key) {
    std::string part = "/";
    for (char c : key) {
        if (c == '~')
            part += "~0";
        else if (c == '/')
            part += "~1";
        else
            part += c;
    }
    return part;
}

// A value as a message shows it: its kind, and what it is if that is short.
std::string describe(const Value& value) {
    std::string kind(kind_name(value.kind()));
    if (value.is_null() || value.is_array() || value.is_object()) return kind;
    std::string text = to_json(value);
    constexpr std::size_t kLongest = 60;
    if (text.size() > kLongest)
        text = text.substr(0, complete_utf8_prefix(text.substr(0, kLongest))) + "…";
    return kind + " (" + text + ")";
}

template <typename T>
std::string expected_range(T min, T max) {
    using limits = std::numeric_limits<T>;
    bool no_min = limits::has_infinity ? min == -limits::infinity() : min == limits::min();
    bool no_max = limits::has_infinity ? max == limits::infinity() : max == limits::max();
    if (no_min && no_max) return "expected a finite number";
    if (no_max) return cat("expected at least ", to_json(min));
    if (no_min) return cat("expected at most ", to_json(max));
    return cat("expected ", to_json(min), " to ", to_json(max));
}

}  // namespace

ConfigReader::ConfigReader(Value root, std::string source)
    : ConfigReader(std::move(root), std::move(source), "", std::make_shared<Shared>()) {}

ConfigReader::ConfigReader(Value root, std::string source, std::string path,
                           std::shared_ptr<Shared> shared)
    : root_(std::move(root)),
      source_(std::move(source)),
      path_(std::move(path)),
      shared_(std::move(shared)) {
    // An object that is read twice is one scope: a key is known if either reading asked for it.
    std::shared_ptr<Scope>& scope = shared_->scopes[path_];
    if (!scope) scope = std::make_shared<Scope>();
    scope_ = scope;
    if (root_.is_object()) {
        scope_->keys.clear();
        for (const auto& [key, value] : root_.as_object().members()) scope_->keys.push_back(key);
    } else {
        problem("", "expected an object, got " + describe(root_));
        root_ = Object();
    }
}

bool ConfigReader::has(std::string_view key) const {
    const Value* value = root_.find(key);
    return value != nullptr && !value->is_null();
}

const Value* ConfigReader::ask(std::string_view key) {
    ignore(key);
    const Value* value = root_.find(key);
    return value == nullptr || value->is_null() ? nullptr : value;
}

const Value* ConfigReader::ask_required(std::string_view key) {
    ignore(key);
    const Value* value = root_.find(key);
    if (value == nullptr) problem(key, "required key is missing");
    return value;
}

void ConfigReader::wrong_kind(std::string_view key, std::string_view expected, const Value& got) {
    problem(key, cat("expected ", expected, ", got ", describe(got)));
}

template <typename Range>
bool ConfigReader::in_range(std::string_view key, const Value& value, Range range) {
    decltype(range.min) number{};
    if constexpr (std::is_same_v<Range, IntegerRange>)
        number = value.as_integer();
    else
        number = value.as_real();
    if (number >= range.min && number <= range.max) return true;
    problem(key, cat(to_json(value), " is out of range; ", expected_range(range.min, range.max)));
    return false;
}

std::string ConfigReader::string(std::string_view key) {
    if (const Value* value = ask_required(key)) {
        if (value->is_string()) return value->as_string();
        wrong_kind(key, "a string", *value);
    }
    return {};
}

std::int64_t ConfigReader::integer(std::string_view key, IntegerRange range) {
    if (const Value* value = ask_required(key)) {
        if (!value->is_integer())
            wrong_kind(key, "an integer", *value);
        else if (in_range(key, *value, range))
            return value->as_integer();
    }
    return 0;
}

double ConfigReader::real(std::string_view key, RealRange range) {
    if (const Value* value = ask_required(key)) {
        if (!value->is_number())
            wrong_kind(key, "a number", *value);
        else if (in_range(key, *value, range))
            return value->as_real();
    }
    return 0;
}

bool ConfigReader::boolean(std::string_view key) {
    if (const Value* value = ask_required(key)) {
        if (value->is_bool()) return value->as_bool();
        wrong_kind(key, "true or false", *value);
    }
    return false;
}

std::optional<std::string> ConfigReader::optional_string(std::string_view key) {
    if (ask(key) == nullptr) return std::nullopt;
    return string(key);
}
std::optional<std::int64_t> ConfigReader::optional_integer(std::string_view key,
                                                           IntegerRange range) {
    if (ask(key) == nullptr) return std::nullopt;
    return integer(key, range);
}
std::optional<double> ConfigReader::optional_real(std::string_view key, RealRange range) {
    if (ask(key) == nullptr) return std::nullopt;
    return real(key, range);
}
std::optional<bool> ConfigReader::optional_boolean(std::string_view key) {
    if (ask(key) == nullptr) return std::nullopt;
    return boolean(key);
}

std::string ConfigReader::string_or(std::string_view key, std::string fallback) {
    return optional_string(key).value_or(std::move(fallback));
}
std::int64_t ConfigReader::integer_or(std::string_view key, std::int64_t fallback,
                                      IntegerRange range) {
    return optional_integer(key, range).value_or(fallback);
}
double ConfigReader::real_or(std::string_view key, double fallback, RealRange range) {
    return optional_real(key, range).value_or(fallback);
}
bool ConfigReader::boolean_or(std::string_view key, bool fallback) {
    return optional_boolean(key).value_or(fallback);
}

std::string ConfigReader::choice_or(std::string_view key, std::string fallback,
                                    const std::vector<std::string>& choices) {
    const Value* value = ask(key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) {
        wrong_kind(key, "one of " + join(choices, ", "), *value);
        return fallback;
    }
    const std::string& word = value->as_string();
    if (std::find(choices.begin(), choices.end(), word) != choices.end()) return word;
    problem(key, cat("unknown value ", to_json(word), "; expected one of ", join(choices, ", "),
                     did_you_mean(word, choices)));
    return fallback;
}

std::vector<std::string> ConfigReader::strings_or(std::string_view key,
                                                  std::vector<std::string> fallback) {
    const Value* value = ask(key);
    if (value == nullptr) return fallback;
    if (value->is_string()) return {value->as_string()};
    if (!value->is_array()) {
        wrong_kind(key, "a string or an array of strings", *value);
        return fallback;
    }
    std::vector<std::string> strings;
    for (const Value& element : value->as_array()) {
        if (element.is_string())
            strings.push_back(element.as_string());
        else
            wrong_kind(key, "only strings in this array", element);
    }
    return strings;
}

Value ConfigReader::value(std::string_view key) {
    const Value* value = ask(key);
    return value == nullptr ? Value() : *value;
}

ConfigReader ConfigReader::object(std::string_view key) {
    const Value* value = ask(key);
    return {value == nullptr ? Value(Object()) : *value, source_, path_ + pointer_part(key),
            shared_};
}

std::vector<ConfigReader> ConfigReader::objects(std::string_view key) {
    std::vector<ConfigReader> readers;
    const Value* value = ask(key);
    if (value == nullptr) return readers;
    if (!value->is_array()) {
        wrong_kind(key, "an array of objects", *value);
        return readers;
    }
    std::string path = path_ + pointer_part(key) + "/";
    for (const Value& element : value->as_array())
        readers.push_back({element, source_, path + std::to_string(readers.size()), shared_});
    return readers;
}

void ConfigReader::ignore(std::string_view key) {
    std::vector<std::string>& asked = scope_->asked;
    if (std::find(asked.begin(), asked.end(), key) == asked.end()) asked.emplace_back(key);
}

void ConfigReader::ignore_rest() {
    scope_->rest_ignored = true;
}

void ConfigReader::problem(std::string_view key, const std::string& message) {
    std::string place = path_ + (key.empty() ? "" : pointer_part(key));
    shared_->problems.push_back(source_ + ": " + (place.empty() ? "" : place + ": ") + message);
}

void ConfigReader::finish() {
    std::vector<std::string> problems = shared_->problems;
    for (const auto& [path, scope] : shared_->scopes) {
        if (scope->rest_ignored) continue;
        for (const std::string& key : scope->keys) {
            const std::vector<std::string>& asked = scope->asked;
            if (std::find(asked.begin(), asked.end(), key) != asked.end()) continue;
            problems.push_back(cat(source_, ": ", path, pointer_part(key), ": unknown key",
                                   did_you_mean(key, asked)));
        }
    }
    if (!problems.empty()) throw UserError(join(problems, "\n"));
}

}  // namespace muster
