#pragma once
// What a Split or Replace searches for, and how a text is cut at its matches. Semantics read in
// huggingface/tokenizers 0.21: tokenizer/pattern.rs and NormalizedString::split.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json_node.h"
#include "muster/text/regex.h"

namespace muster {

/// A byte range of a text.
struct Piece {
    std::size_t begin, end;
};

class Pattern {
 public:
    static Pattern literal(std::string text);
    /// Oniguruma syntax.
    static Pattern regex(const std::string& pattern);
    /// From {"String": "…"} or {"Regex": "…"}.
    static Pattern from_json(const JsonNode& node);

    /// Calls visit(begin, end) for each match in text[begin, end).
    template <typename Visit>
    void for_each_match(std::string_view text, Visit visit) const;
    /// The first matches, as many as are not empty and the same whatever text follows, also for a
    /// search that starts behind any of them. None if that cannot be told.
    std::vector<Piece> certain_matches(std::string_view text) const;

 private:
    Pattern() = default;
    std::string literal_;
    std::optional<Regex> regex_;
};

enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

SplitBehavior split_behavior_from_json(const JsonNode& node, std::string_view key,
                                       SplitBehavior fallback);

/// Appends the non-empty parts of text[piece.begin, piece.end) to `out`. `invert` swaps matches and
/// gaps.
void split_piece(std::string_view text, Piece piece, const Pattern& pattern, SplitBehavior behavior,
                 bool invert, std::vector<Piece>& out);

/// `text` with every match replaced. Throws UserError if it grows beyond 256 MiB.
std::string replace_pattern(std::string_view text, const Pattern& pattern,
                            std::string_view content);

template <typename Visit>
void Pattern::for_each_match(std::string_view text, Visit visit) const {
    if (!regex_) {
        if (literal_.empty()) return;
        for (std::size_t at = text.find(literal_); at != text.npos;
             at = text.find(literal_, at + literal_.size())) {
            visit(at, at + literal_.size());
        }
        return;
    }
    // As the onig crate's find_iter: an empty match directly after a match is skipped.
    std::size_t from = 0, last_end = std::string_view::npos;
    while (from <= text.size()) {
        const Regex::Span span = regex_->find(text, from);
        if (!span.matched()) return;
        if (span.begin == span.end && span.end == last_end) {
            from++;
            while (from < text.size() && (text[from] & 0xC0) == 0x80) from++;
            continue;
        }
        visit(span.begin, span.end);
        from = last_end = span.end;
    }
}

}  // namespace muster
