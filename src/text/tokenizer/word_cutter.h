#pragma once
// Cuts long words where no merge can ever reach across, so that a whole text given as one word
// (Llama-2 style) is encoded as many short ones, with the same result. A merge across the place
// between two characters needs a pair (… last character, first character …) among the merges: where
// no merge has that pair, cutting is exact. Next to characters without a token of their own it
// never cuts.

#include <string_view>
#include <vector>

#include "merge_table.h"

namespace muster {

class WordCutter {
 public:
    WordCutter() : has_token_(0x110000, false) {}

    void reserve(std::size_t merges) { joints_.reserve(merges); }
    /// Tells that `character` is a token.
    void learn_character(char32_t character) { has_token_[character] = true; }
    void learn_merge(std::string_view left, std::string_view right);

    /// End of the segment of `word` that starts at byte `begin`.
    std::size_t segment_end(std::string_view word, std::size_t begin) const;

 private:
    std::vector<bool> has_token_;  ///< by code point
    MergeTable joints_;            ///< pairs of code points; the value is not used
};

}  // namespace muster
