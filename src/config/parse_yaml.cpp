// yaml-cpp reads the syntax and reports events; the Value is built from them directly, so that the
// meaning of plain scalars, keys, tags and merges is decided here. Aliases copy what they name,
// which lets a few bytes stand for a large tree: everything copied is counted and limited.
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/config/parse.h"
#include "place.h"
#include "yaml_quoted.h"
#include "yaml_scalar.h"

namespace muster {

namespace {

constexpr std::size_t kMaxNodes = 5'000'000;
constexpr std::string_view kStandardTag = "tag:yaml.org,2002:";

struct Extent {
    std::size_t nodes = 1, depth = 0;
};

// Long strings count as several nodes.
Extent extent_of(const Value& value) {
    Extent extent;
    auto add = [&extent](const Value& child) {
        Extent inner = extent_of(child);
        extent.nodes += inner.nodes;
        extent.depth = std::max(extent.depth, inner.depth + 1);
    };
    if (value.is_string()) extent.nodes += value.as_string().size() / 64;
    if (value.is_array())
        for (const Value& child : value.as_array()) add(child);
    if (value.is_object()) {
        for (const auto& [key, child] : value.as_object().members()) {
            extent.nodes += key.size() / 64;
            add(child);
        }
    }
    return extent;
}

// yaml-cpp counts positions in bytes.
std::string place_of(const YAML::Mark& mark, std::string_view text, const std::string& place) {
    if (mark.is_null()) return place + ": ";
    return position_prefix(text, static_cast<std::size_t>(mark.pos), place);
}

class Builder : public YAML::EventHandler {
 public:
    Builder(std::string_view text, std::string place, DuplicateKeys duplicates)
        : text_(text), place_(std::move(place)), duplicates_(duplicates) {}
    Value take() { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (documents_++ > 0) fail(mark, "a second document begins here; expected one");
    }
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        count(mark, 1);
        if (expects_key()) fail(mark, "null is not a key; quote it if it is meant as text");
        deliver(mark, anchor, {});
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        auto named = anchors_.find(anchor);
        if (named == anchors_.end()) fail(mark, "this alias stands inside the node that it names");
        Extent extent = extent_of(named->second);
        count(mark, extent.nodes);
        if (extent.depth + stack_.size() > kMaxDepth) fail_depth(mark);
        if (!expects_key()) return deliver(mark, YAML::NullAnchor, named->second);
        if (!named->second.is_string()) fail(mark, "a key must be text");
        set_key(mark, named->second.as_string());
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& raw) override {
        count(mark, 1);
        std::string text = scalar_text(mark, raw);
        if (!is_valid_utf8(text)) fail(mark, "with its escapes read this text is not UTF-8");
        if (!expects_key()) return deliver(mark, anchor, scalar(mark, tag, text));
        if (anchor != YAML::NullAnchor) anchors_[anchor] = text;
        if (tag == "?" && text == "<<")
            stack_.back().merging = true;
        else
            set_key(mark, text);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(mark, tag, "seq", anchor, Array());
    }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(mark, tag, "map", anchor, Object());
    }
    void OnSequenceEnd() override { close(); }
    void OnMapEnd() override { close(); }

 private:
    struct Frame {
        Value container;
        YAML::Mark mark;
        YAML::anchor_t anchor;
        std::optional<std::string> key;  // of the value that comes next
        bool merging = false;            // the value that comes next belongs to <<
        std::vector<Value> merged;       // what << named, weakest first
    };

    [[noreturn]] void fail(const YAML::Mark& mark, const std::string& message) const {
        throw UserError(place_of(mark, text_, place_) + message);
    }
    [[noreturn]] void fail_depth(const YAML::Mark& mark) const {
        fail(mark, cat("nested deeper than ", kMaxDepth));
    }
    void count(const YAML::Mark& mark, std::size_t nodes) {
        nodes_ += nodes;
        if (nodes_ > kMaxNodes)
            fail(mark, cat("with its aliases expanded the document is larger than ",
                           format_count(kMaxNodes), " nodes"));
    }
    bool expects_key() const {
        if (stack_.empty() || !stack_.back().container.is_object()) return false;
        return !stack_.back().key && !stack_.back().merging;
    }
    void set_key(const YAML::Mark& mark, const std::string& key) {
        if (duplicates_ == DuplicateKeys::error &&
            stack_.back().container.as_object().contains(key))
            fail(mark, "key \"" + key + "\" appears twice in this mapping");
        stack_.back().key = key;
    }

    // The text of the scalar at `mark` that yaml-cpp read as `raw`. Behind a tag or an anchor an
    // empty one may be no scalar at all.
    std::string scalar_text(const YAML::Mark& mark, const std::string& raw) const {
        auto begin = static_cast<std::size_t>(mark.pos);
        std::size_t node = skip_properties(text_, begin);
        if (node == text_.size() || (raw.empty() && node != begin)) return raw;
        // yaml-cpp 0.7 loses one of the line feeds that this style is used to keep.
        if (text_[node] == '>' && text_.substr(node + 1, 2).find('+') != text_.npos)
            fail(mark, "folded text with its last line feeds kept (>+) is not supported; use |+");
        if (text_[node] != '"' && text_[node] != '\'') return raw;
        std::optional<std::string> text = read_quoted(text_, node);
        if (!text) fail(mark, "this quote is never closed");
        return *text;
    }
    Value scalar(const YAML::Mark& mark, const std::string& tag, const std::string& text) const {
        if (tag == "?" || tag.empty()) return resolve_yaml_scalar(text);
        if (tag == "!") return text;
        if (tag == "!function") {
            Object object;
            object.set("!function", text);
            return object;
        }
        if (tag.starts_with(kStandardTag)) {
            std::string name = tag.substr(kStandardTag.size());
            if (name == "str") return text;
            Value value = resolve_yaml_scalar(text);
            if (name == "int" && value.is_integer()) return value;
            if (name == "float" && value.is_number()) return value.as_real();
            if (name == "bool" && value.is_bool()) return value;
            if (name == "null" && value.is_null()) return value;
            if (name == "int" || name == "float" || name == "bool" || name == "null")
                fail(mark, "\"" + text + "\" is not of the type that its tag !!" + name + " says");
        }
        fail_tag(mark, tag);
    }
    [[noreturn]] void fail_tag(const YAML::Mark& mark, const std::string& tag) const {
        fail(mark, "tag " + tag + " is not known here; expected !function or a standard tag");
    }

    void open(const YAML::Mark& mark, const std::string& tag, std::string_view standard,
              YAML::anchor_t anchor, Value container) {
        count(mark, 1);
        bool plain = tag.empty() || tag == "?" || tag == "!";
        if (!plain && tag != cat(kStandardTag, standard)) fail_tag(mark, tag);
        if (expects_key())
            fail(mark,
                 "a key must be text, not a sequence or a mapping; is a closing bracket missing?");
        if (stack_.size() == kMaxDepth) fail_depth(mark);
        stack_.push_back({std::move(container), mark, anchor, std::nullopt, false, {}});
    }
    void close() {
        Frame frame = std::move(stack_.back());
        stack_.pop_back();
        if (frame.merged.empty())
            return deliver(frame.mark, frame.anchor, std::move(frame.container));
        // As PyYAML: merged members come first, and later ones overwrite earlier ones in place.
        Object object;
        frame.merged.push_back(std::move(frame.container));
        for (const Value& part : frame.merged)
            for (const auto& [key, value] : part.as_object().members()) object.set(key, value);
        deliver(frame.mark, frame.anchor, std::move(object));
    }
    void deliver(const YAML::Mark& mark, YAML::anchor_t anchor, Value value) {
        if (anchor != YAML::NullAnchor) {
            count(mark, extent_of(value).nodes);
            anchors_[anchor] = value;
        }
        if (stack_.empty()) {
            root_ = std::move(value);
            return;
        }
        Frame& frame = stack_.back();
        if (frame.container.is_array()) {
            frame.container.as_array().push_back(std::move(value));
        } else if (frame.merging) {
            merge(mark, frame, std::move(value));
        } else {
            frame.container.as_object().set(std::move(*frame.key), std::move(value));
            frame.key.reset();
        }
    }
    // << takes a mapping, or a sequence of them of which the first is the strongest.
    void merge(const YAML::Mark& mark, Frame& frame, Value value) const {
        frame.merging = false;
        Array parts = value.is_array() ? std::move(value.as_array()) : Array{std::move(value)};
        for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
            if (!part->is_object()) fail(mark, "<< expects a mapping or a sequence of mappings");
            frame.merged.push_back(std::move(*part));
        }
    }

    std::string_view text_;
    std::string place_;
    DuplicateKeys duplicates_;
    std::vector<Frame> stack_;
    std::map<YAML::anchor_t, Value> anchors_;
    Value root_;
    std::size_t nodes_ = 0;
    int documents_ = 0;
};

// YAML allows no control characters but these; yaml-cpp would take some for another encoding.
void require_printable(std::string_view text, const std::string& place) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto c = static_cast<unsigned char>(text[i]);
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F)
            throw UserError(cat(position_prefix(text, i, place), "control character 0x", std::hex,
                                static_cast<unsigned>(c), " is not allowed in YAML"));
    }
}

}  // namespace

Value parse_yaml(std::string_view text, const std::string& place, DuplicateKeys duplicates) {
    require_utf8(text, place);
    require_printable(text, place);
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // a byte order mark
    std::istringstream stream{std::string(text)};
    Builder builder(text, place, duplicates);
    try {
        YAML::Parser parser(stream);
        while (parser.HandleNextDocument(builder)) {
        }
    } catch (const YAML::Exception& error) {
        throw UserError(place_of(error.mark, text, place) + error.msg);
    }
    return builder.take();
}

}  // namespace muster
