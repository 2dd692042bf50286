#include "word_cutter.h"

#include "muster/base/utf8.h"

namespace muster {

void WordCutter::learn_merge(std::string_view left, std::string_view right) {
    if (left.empty() || right.empty()) return;
    std::size_t last = left.size() - 1;
    while (last > 0 && (left[last] & 0xC0) == 0x80) last--;
    std::size_t first = 0;
    const char32_t before = next_code_point(left, last), after = next_code_point(right, first);
    joints_.insert(static_cast<TokenId>(before), static_cast<TokenId>(after), {});
}

std::size_t WordCutter::segment_end(std::string_view word, std::size_t begin) const {
    std::size_t pos = begin;
    char32_t before = next_code_point(word, pos);
    while (pos < word.size()) {
        const std::size_t here = pos;
        const char32_t after = next_code_point(word, pos);
        if (has_token_[before] && has_token_[after] &&
            joints_.find(static_cast<TokenId>(before), static_cast<TokenId>(after)) == nullptr) {
            return here;
        }
        before = after;
    }
    return word.size();
}

}  // namespace muster
