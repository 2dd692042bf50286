// nlohmann/json reads the syntax and reports events; the Value is built from them directly. A text
// that it refuses is rewritten (python_json.h) and read once more if that changed anything, so that
// ordinary files are scanned once.
#include <nlohmann/json.hpp>

#include <optional>

#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/config/parse.h"
#include "place.h"
#include "python_json.h"

namespace muster {

namespace {

// A read position that the event handler can see: nlohmann's events do not carry one.
class Cursor {
 public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    Cursor(const char* at, const char** seen) : at_(at), seen_(seen) {}
    reference operator*() const { return *at_; }
    Cursor& operator++() {
        *seen_ = ++at_;
        return *this;
    }
    Cursor operator++(int) {
        Cursor before = *this;
        ++*this;
        return before;
    }
    bool operator==(const Cursor& other) const { return at_ == other.at_; }

 private:
    const char* at_;
    const char** seen_;
};

struct JsonProblem {
    std::size_t offset = 0;
    std::string message;
    bool syntax = false;  // refused by the standard's grammar, perhaps not by Python's
};

class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
    Builder(std::string_view text, DuplicateKeys duplicates, bool rewritten)
        : text_(text), duplicates_(duplicates), rewritten_(rewritten), seen_(text.data()) {}

    bool run() {
        Cursor begin(text_.data(), &seen_), end(text_.data() + text_.size(), &seen_);
        return nlohmann::json::sax_parse(begin, end, this);
    }
    Value take() { return std::move(root_); }
    const JsonProblem& problem() const { return problem_; }

    bool null() override { return add({}); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(number_integer_t value) override { return add(std::int64_t{value}); }
    bool number_unsigned(number_unsigned_t value) override {
        if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            return add(static_cast<double>(value));
        return add(static_cast<std::int64_t>(value));
    }
    bool number_float(number_float_t value, const string_t& token) override {
        if (rewritten_ && token.ends_with(kNanToken)) {
            value = std::numeric_limits<double>::quiet_NaN();
        } else if (rewritten_ && token.ends_with(kInfinityToken)) {
            value = std::numeric_limits<double>::infinity();
            if (token[0] == '-') value = -value;
        }
        return add(value);
    }
    bool string(string_t& value) override { return add(std::move(value)); }
    bool binary(binary_t&) override { return false; }  // never: not part of JSON text
    bool start_object(std::size_t) override { return open(Object()); }
    bool start_array(std::size_t) override { return open(Array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(string_t& name) override {
        Frame& frame = stack_.back();
        if (duplicates_ == DuplicateKeys::error && frame.container.as_object().contains(name))
            return fail("key \"" + name + "\" appears twice in this object");
        frame.key = std::move(name);
        return true;
    }
    bool parse_error(std::size_t position, const std::string&,
                     const nlohmann::json::exception& error) override {
        // "[json.exception.parse_error.101] parse error at line 1, column 2: <what we want>"
        std::string message = error.what();
        if (std::size_t colon = message.find(": "); colon != message.npos)
            message.erase(0, colon + 2);
        else if (std::size_t bracket = message.find("] "); bracket != message.npos)
            message.erase(0, bracket + 2);
        problem_ = {position > 0 ? position - 1 : 0, replace_invalid_utf8(message), true};
        return false;
    }

 private:
    struct Frame {
        Value container;
        std::string key;
    };

    bool add(Value value) {
        if (stack_.empty()) {
            root_ = std::move(value);
        } else if (Frame& frame = stack_.back(); frame.container.is_array()) {
            frame.container.as_array().push_back(std::move(value));
        } else {
            frame.container.as_object().set(std::move(frame.key), std::move(value));
        }
        return true;
    }
    bool open(Value container) {
        if (stack_.size() == kMaxDepth) return fail(cat("nested deeper than ", kMaxDepth));
        stack_.push_back({std::move(container), {}});
        return true;
    }
    bool close() {
        Value done = std::move(stack_.back().container);
        stack_.pop_back();
        return add(std::move(done));
    }
    bool fail(std::string message) {
        auto read = static_cast<std::size_t>(seen_ - text_.data());
        problem_ = {read > 0 ? read - 1 : 0, std::move(message), false};
        return false;
    }

    std::string_view text_;
    DuplicateKeys duplicates_;
    bool rewritten_;
    const char* seen_;
    std::vector<Frame> stack_;
    Value root_;
    JsonProblem problem_;
};

}  // namespace

Value parse_json(std::string_view text, const std::string& place, DuplicateKeys duplicates) {
    require_utf8(text, place);
    Builder builder(text, duplicates, false);
    if (builder.run()) return builder.take();
    JsonProblem problem = builder.problem();
    if (problem.syntax) {
        if (StrictJson strict = make_strict(text); strict.changed()) {
            Builder again(strict.text, duplicates, true);
            if (again.run()) return again.take();
            problem = again.problem();
            problem.offset = strict.original_offset(problem.offset);
        }
    }
    throw UserError(position_prefix(text, problem.offset, place) + problem.message);
}

Value parse_config_file(const std::string& path, DuplicateKeys duplicates) {
    std::string text = read_file(path);
    std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
    std::size_t dot = name.rfind('.');
    std::string_view extension = dot == name.npos ? "" : name.substr(dot);
    if (extension == ".json") return parse_json(text, path, duplicates);
    if (extension.empty() || extension == ".yaml" || extension == ".yml")
        return parse_yaml(text, path, duplicates);
    throw UserError(
        cat(path, ": files ending in ", extension, " are not read; expected .yaml, .yml or .json"));
}

}  // namespace muster
