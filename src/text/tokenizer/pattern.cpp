#include "pattern.h"

#include <algorithm>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {
namespace {

constexpr std::size_t kMaxReplacedBytes = std::size_t{256} << 20;

struct Part {
    Piece piece;
    bool match;
};

/// Matches and the gaps between them, in order; they cover `text`.
std::vector<Part> matches_and_gaps(std::string_view text, const Pattern& pattern) {
    std::vector<Part> parts;
    std::size_t done = 0;
    pattern.for_each_match(text, [&](std::size_t begin, std::size_t end) {
        if (begin > done) parts.push_back({{done, begin}, false});
        parts.push_back({{begin, end}, true});
        done = end;
    });
    if (done < text.size()) parts.push_back({{done, text.size()}, false});
    return parts;
}

/// Joins neighbours: equal kinds (contiguous), or a match with what precedes it.
std::vector<Part> merged(const std::vector<Part>& parts, bool contiguous) {
    std::vector<Part> out;
    bool previous_match = false;
    for (const Part& part : parts) {
        const bool join = contiguous ? part.match == previous_match : part.match && !previous_match;
        if (join && !out.empty()) {
            out.back().piece.begin = std::min(out.back().piece.begin, part.piece.begin);
            out.back().piece.end = std::max(out.back().piece.end, part.piece.end);
        } else {
            out.push_back(part);
        }
        previous_match = part.match;
    }
    return out;
}

}  // namespace

Pattern Pattern::literal(std::string text) {
    Pattern pattern;
    pattern.literal_ = std::move(text);
    return pattern;
}

Pattern Pattern::regex(const std::string& text) {
    Pattern pattern;
    pattern.regex_.emplace(text, Regex::Dialect::tokenizer);
    return pattern;
}

std::vector<Piece> Pattern::certain_matches(std::string_view text) const {
    std::vector<Piece> matches;
    if (!regex_) {
        for_each_match(text, [&](std::size_t begin, std::size_t end) {
            matches.push_back({begin, end});
        });
        return matches;
    }
    if (regex_->looks_back()) return matches;
    for (std::size_t from = 0;;) {
        const Regex::Span span = regex_->find_certain(text, from);
        if (!span.matched() || span.begin == span.end) return matches;
        matches.push_back({span.begin, span.end});
        from = span.end;
    }
}

Pattern Pattern::from_json(const JsonNode& node) {
    if (const auto text = node.find("String")) return literal(text->string());
    if (const auto text = node.find("Regex")) {
        try {
            return regex(text->string());
        } catch (const std::exception& error) {
            text->fail(error.what());
        }
    }
    node.fail("expected {\"String\": …} or {\"Regex\": …}");
}

SplitBehavior split_behavior_from_json(const JsonNode& node, std::string_view key,
                                       SplitBehavior fallback) {
    const auto member = node.find(key);
    if (!member) return fallback;
    static constexpr std::pair<std::string_view, SplitBehavior> kNames[] = {
        {"Removed", SplitBehavior::removed},
        {"Isolated", SplitBehavior::isolated},
        {"MergedWithPrevious", SplitBehavior::merged_with_previous},
        {"MergedWithNext", SplitBehavior::merged_with_next},
        {"Contiguous", SplitBehavior::contiguous}};
    for (const auto& [name, behavior] : kNames) {
        if (member->string() == name) return behavior;
    }
    member->fail("expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

void split_piece(std::string_view text, Piece piece, const Pattern& pattern, SplitBehavior behavior,
                 bool invert, std::vector<Piece>& out) {
    std::vector<Part> parts =
        matches_and_gaps(text.substr(piece.begin, piece.end - piece.begin), pattern);
    if (invert) {
        for (Part& part : parts) part.match = !part.match;
    }
    if (behavior == SplitBehavior::merged_with_previous) {
        parts = merged(parts, false);
    } else if (behavior == SplitBehavior::contiguous) {
        parts = merged(parts, true);
    } else if (behavior == SplitBehavior::merged_with_next) {
        std::reverse(parts.begin(), parts.end());
        parts = merged(parts, false);
        std::reverse(parts.begin(), parts.end());
    }
    for (const Part& part : parts) {
        if (part.match && behavior == SplitBehavior::removed) continue;
        if (part.piece.begin == part.piece.end) continue;
        out.push_back({piece.begin + part.piece.begin, piece.begin + part.piece.end});
    }
}

std::string replace_pattern(std::string_view text, const Pattern& pattern,
                            std::string_view content) {
    std::string out;
    std::size_t done = 0;
    pattern.for_each_match(text, [&](std::size_t begin, std::size_t end) {
        out += text.substr(done, begin - done);
        out += content;
        done = end;
        if (out.size() > kMaxReplacedBytes) {
            throw UserError(cat("tokenizer: a text of ", format_bytes(text.size()),
                                " grows beyond ", format_bytes(kMaxReplacedBytes),
                                " by replacements"));
        }
    });
    out += text.substr(done);
    return out;
}

}  // namespace muster
