// A window over the last ids is decoded again after every push; what is new and certain is emitted.
// The window keeps some emitted text in front, since decoders treat the first token of a text in
// their own way (Llama-2 strips a blank there), so both the old and the new text have lost the same
// thing.

#include <algorithm>

#include "tokenizer_state.h"

namespace muster {
namespace {

constexpr std::size_t kWindowIds = 24, kKeptIds = 8;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// Length of the text that later ids cannot change: without U+FFFD at the end (perhaps an
/// unfinished character) and, where blanks are cleaned up, without a blank among the last three
/// bytes.
std::size_t certain_length(std::string_view text, bool clean_up) {
    while (text.ends_with(kReplacement)) text.remove_suffix(kReplacement.size());
    if (clean_up && !text.empty()) {
        const std::size_t from = text.size() > 3 ? text.size() - 3 : 0;
        const std::size_t blank = text.find(' ', from);
        if (blank != text.npos) text = text.substr(0, blank);
    }
    return text.size();
}

}  // namespace

IncrementalDecoder::IncrementalDecoder(const Tokenizer& tokenizer, bool skip_special_tokens)
    : tokenizer_(&tokenizer), skip_special_tokens_(skip_special_tokens) {}

std::string IncrementalDecoder::push(TokenId id) {
    window_.push_back(id);
    std::string text = tokenizer_->decode(window_, skip_special_tokens_);
    const std::size_t certain = certain_length(text, tokenizer_->state_->clean_up_spaces);
    std::string piece;
    if (certain > emitted_) {
        piece = text.substr(emitted_, certain - emitted_);
        emitted_ = certain;
    }
    if (window_.size() >= kWindowIds) shrink(text);
    return piece;
}

/// Drops old ids if the shorter window provably shows the same tail behind some emitted text.
void IncrementalDecoder::shrink(const std::string& text) {
    if (emitted_ > text.size()) return;
    const std::vector<TokenId> shorter(window_.end() - kKeptIds, window_.end());
    const std::string tail = tokenizer_->decode(shorter, skip_special_tokens_);
    const std::size_t pending = text.size() - emitted_;
    if (tail.size() <= pending + kReplacement.size() || tail.size() > text.size()) return;
    if (tail.starts_with(kReplacement)) return;  // the cut went through a character
    if (std::string_view(text).substr(emitted_) !=
        std::string_view(tail).substr(tail.size() - pending))
        return;
    window_ = shorter;
    emitted_ = tail.size() - pending;
}

std::string IncrementalDecoder::finish() {
    const std::string text = tokenizer_->decode(window_, skip_special_tokens_);
    std::string rest = text.size() > emitted_ ? text.substr(emitted_) : "";
    window_.clear();
    emitted_ = 0;
    return rest;
}

}  // namespace muster
