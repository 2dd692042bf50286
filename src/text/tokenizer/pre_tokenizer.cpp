// Semantics read in huggingface/tokenizers 0.21: src/pre_tokenizers/.

#include "pre_tokenizer.h"

#include "byte_level.h"
#include "muster/base/text.h"

namespace muster {
namespace {

constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kPunctuation = R"([\p{P}\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e])";

class SequencePreTokenizer : public PreTokenizer {
 public:
    explicit SequencePreTokenizer(const JsonNode& node) {
        for (const JsonNode& step : node.at("pretokenizers").elements()) {
            steps_.push_back(make_pre_tokenizer(step));
        }
    }
    void apply(PreTokens& tokens) const override {
        for (const auto& step : steps_) step->apply(tokens);
    }
    /// What follows the first step sees one of its pieces at a time.
    std::size_t apply_certain(PreTokens& tokens) const override {
        if (steps_.empty()) return PreTokenizer::apply_certain(tokens);
        const std::size_t end = steps_.front()->apply_certain(tokens);
        for (std::size_t i = 1; i < steps_.size(); i++) steps_[i]->apply(tokens);
        return end;
    }

 private:
    std::vector<std::unique_ptr<PreTokenizer>> steps_;
};

/// Everything that only cuts.
class SplitPreTokenizer : public PreTokenizer {
 public:
    SplitPreTokenizer(Pattern pattern, SplitBehavior behavior, bool invert)
        : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
    void apply(PreTokens& tokens) const override {
        std::vector<Piece> parts;
        parts.reserve(tokens.pieces.size());
        for (const Piece& piece : tokens.pieces) {
            split_piece(tokens.text, piece, pattern_, behavior_, invert_, parts);
        }
        tokens.pieces = std::move(parts);
    }
    std::size_t apply_certain(PreTokens& tokens) const override {
        if (behavior_ != SplitBehavior::isolated) return PreTokenizer::apply_certain(tokens);
        tokens.pieces.clear();
        std::size_t done = 0;
        for (const Piece& match : pattern_.certain_matches(tokens.text)) {
            if (match.begin > done) tokens.pieces.push_back({done, match.begin});
            tokens.pieces.push_back(match);
            done = match.end;
        }
        return done;
    }

 private:
    Pattern pattern_;
    SplitBehavior behavior_;
    bool invert_;
};

/// Replaces the text by `rewrite(piece text, piece index, out)` of every piece.
template <typename Rewrite>
void rewrite_pieces(PreTokens& tokens, Rewrite rewrite) {
    std::string text;
    text.reserve(tokens.text.size() * 3 / 2 + 16);
    std::vector<Piece> pieces;
    pieces.reserve(tokens.pieces.size());
    tokens.at_start = tokens.at_start && !tokens.pieces.empty() && tokens.pieces[0].begin == 0;
    for (const Piece& piece : tokens.pieces) {
        const std::size_t begin = text.size();
        const bool at_start = tokens.at_start && pieces.empty();
        rewrite(std::string_view(tokens.text).substr(piece.begin, piece.end - piece.begin),
                at_start, text);
        if (text.size() > begin) pieces.push_back({begin, text.size()});
    }
    tokens.text = std::move(text);
    tokens.pieces = std::move(pieces);
}

class ByteLevelPreTokenizer : public PreTokenizer {
 public:
    ByteLevelPreTokenizer(const JsonNode& node, std::optional<bool> add_prefix_space)
        : add_prefix_space_(add_prefix_space.value_or(node.boolean_or("add_prefix_space", true))) {
        if (node.boolean_or("use_regex", true)) {
            split_ = std::make_unique<SplitPreTokenizer>(Pattern::regex(kGpt2Pattern),
                                                         SplitBehavior::isolated, false);
        }
    }
    void apply(PreTokens& tokens) const override {
        if (add_prefix_space_) {
            rewrite_pieces(tokens, [](std::string_view word, bool, std::string& out) {
                if (!word.starts_with(' ')) out += ' ';
                out += word;
            });
        }
        if (split_) split_->apply(tokens);
        spell_bytes(tokens);
    }
    std::size_t apply_certain(PreTokens& tokens) const override {
        if (add_prefix_space_ || !split_) return PreTokenizer::apply_certain(tokens);
        const std::size_t end = split_->apply_certain(tokens);
        spell_bytes(tokens);
        return end;
    }

 private:
    static void spell_bytes(PreTokens& tokens) {
        rewrite_pieces(tokens, [](std::string_view word, bool, std::string& out) {
            append_byte_level(out, word);
        });
    }

    bool add_prefix_space_;
    std::unique_ptr<PreTokenizer> split_;
};

class MetaspacePreTokenizer : public PreTokenizer {
 public:
    explicit MetaspacePreTokenizer(const JsonNode& node)
        : space_(Pattern::literal(" ")),
          replacement_(node.character_or("replacement", "▁")),
          // Files before tokenizers 0.15 have add_prefix_space instead of prepend_scheme.
          scheme_(node.string_or("prepend_scheme",
                                 node.boolean_or("add_prefix_space", true) ? "always" : "never")) {
        if (scheme_ != "always" && scheme_ != "first" && scheme_ != "never") {
            node.at("prepend_scheme").fail("expected always, first or never");
        }
        if (node.boolean_or("split", true)) {
            split_ = std::make_unique<SplitPreTokenizer>(Pattern::literal(replacement_),
                                                         SplitBehavior::merged_with_next, false);
        }
    }
    void apply(PreTokens& tokens) const override {
        rewrite_pieces(tokens, [this](std::string_view word, bool at_start, std::string& out) {
            const bool marked = word.starts_with(' ') || word.starts_with(replacement_);
            const bool wanted = scheme_ == "always" || (scheme_ == "first" && at_start);
            if (wanted && !marked) out += replacement_;
            out += replace_pattern(word, space_, replacement_);
        });
        if (split_) split_->apply(tokens);
    }

 private:
    Pattern space_;
    std::string replacement_, scheme_;
    std::unique_ptr<PreTokenizer> split_;
};

std::unique_ptr<PreTokenizer> splitter(Pattern pattern, SplitBehavior behavior,
                                       bool invert = false) {
    return std::make_unique<SplitPreTokenizer>(std::move(pattern), behavior, invert);
}

}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonNode& node,
                                                 std::optional<bool> add_prefix_space) {
    const std::string& type = node.type();
    if (type == "Sequence") return std::make_unique<SequencePreTokenizer>(node);
    if (type == "ByteLevel") return std::make_unique<ByteLevelPreTokenizer>(node, add_prefix_space);
    if (type == "Metaspace") return std::make_unique<MetaspacePreTokenizer>(node);
    if (type == "Split") {
        return splitter(Pattern::from_json(node.at("pattern")),
                        split_behavior_from_json(node, "behavior", SplitBehavior::isolated),
                        node.boolean_or("invert", false));
    }
    if (type == "Digits") {
        return splitter(Pattern::regex(R"(\p{N})"), node.boolean_or("individual_digits", false)
                                                        ? SplitBehavior::isolated
                                                        : SplitBehavior::contiguous);
    }
    if (type == "Punctuation") {
        return splitter(Pattern::regex(kPunctuation),
                        split_behavior_from_json(node, "behavior", SplitBehavior::isolated));
    }
    if (type == "Whitespace") {
        return splitter(Pattern::regex(R"([\w\x{200c}\x{200d}]+|[^\w\x{200c}\x{200d}\s]+)"),
                        SplitBehavior::removed, true);
    }
    if (type == "WhitespaceSplit") {
        return splitter(Pattern::regex(R"(\s)"), SplitBehavior::removed);
    }
    if (type == "CharDelimiterSplit") {
        return splitter(Pattern::literal(node.character_or("delimiter", " ")),
                        SplitBehavior::removed);
    }
    node.fail_type("pre_tokenizer",
                   {"Sequence", "ByteLevel", "Metaspace", "Split", "Digits", "Punctuation",
                    "Whitespace", "WhitespaceSplit", "CharDelimiterSplit"});
}

}  // namespace muster
