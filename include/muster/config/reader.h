#pragma once
// ConfigReader reads typed keys out of a Value and collects every problem before it complains:
// unknown keys with a suggestion, wrong kinds, values out of range. Readers of sub-objects share
// the list. Call finish() on the root once everything has been asked for.
//
//     ConfigReader reader(parse_config_file(path), path);
//     run.limit = reader.integer_or("limit", -1, {.min = 1});
//     ConfigReader parallel = reader.object("parallel");
//     reader.finish();

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "muster/config/value.h"

namespace muster {

struct IntegerRange {
    std::int64_t min = std::numeric_limits<std::int64_t>::min();
    std::int64_t max = std::numeric_limits<std::int64_t>::max();
};
struct RealRange {
    double min = -std::numeric_limits<double>::infinity();
    double max = std::numeric_limits<double>::infinity();
};

class ConfigReader {
 public:
    /// `source` names the file (or "command line") in messages. `root` must be an object: anything
    /// else is a problem.
    ConfigReader(Value root, std::string source);

    bool has(std::string_view key) const;

    // Required keys: a missing or ill-typed one is recorded as a problem and a neutral value
    // returned.
    std::string string(std::string_view key);
    std::int64_t integer(std::string_view key, IntegerRange range = {});
    double real(std::string_view key, RealRange range = {});
    bool boolean(std::string_view key);

    // Optional keys: absent or null gives the default.
    std::string string_or(std::string_view key, std::string fallback);
    std::int64_t integer_or(std::string_view key, std::int64_t fallback, IntegerRange range = {});
    double real_or(std::string_view key, double fallback, RealRange range = {});
    bool boolean_or(std::string_view key, bool fallback);
    std::optional<std::int64_t> optional_integer(std::string_view key, IntegerRange range = {});
    std::optional<double> optional_real(std::string_view key, RealRange range = {});
    std::optional<std::string> optional_string(std::string_view key);
    std::optional<bool> optional_boolean(std::string_view key);
    /// One of `choices`; anything else is a problem that lists them.
    std::string choice_or(std::string_view key, std::string fallback,
                          const std::vector<std::string>& choices);
    /// A string or an array of strings.
    std::vector<std::string> strings_or(std::string_view key, std::vector<std::string> fallback);
    /// The value as it stands, null if absent.
    Value value(std::string_view key);

    /// Reader of the object under `key`; an empty one if absent or null.
    ConfigReader object(std::string_view key);
    /// One reader per element of the array of objects under `key`; none if absent.
    std::vector<ConfigReader> objects(std::string_view key);

    /// Marks `key` as known without reading it (a key that is accepted and deliberately unused).
    void ignore(std::string_view key);
    /// Accepts all remaining keys of this object without complaint.
    void ignore_rest();
    /// Records a problem at `key` of this object ("" for the object itself).
    void problem(std::string_view key, const std::string& message);

    /// Where this reader stands, as a JSON pointer: "/tasks/0".
    const std::string& path() const { return path_; }
    const std::string& source() const { return source_; }
    const Value& root() const { return root_; }

    /// Throws one UserError that lists every problem of this tree, unknown keys included; returns
    /// if none.
    void finish();

 private:
    struct Shared;  // the problems and scopes of the whole tree
    struct Scope;   // which keys of one object have been asked for
    ConfigReader(Value root, std::string source, std::string path, std::shared_ptr<Shared> shared);

    const Value* ask(std::string_view key);
    const Value* ask_required(std::string_view key);
    void wrong_kind(std::string_view key, std::string_view expected, const Value& got);
    template <typename Range>
    bool in_range(std::string_view key, const Value& value, Range range);

    Value root_;
    std::string source_, path_;
    std::shared_ptr<Shared> shared_;
    std::shared_ptr<Scope> scope_;
};

}  // namespace muster
