#include "added_tokens.h"

#include <algorithm>

#include "unicode.h"

namespace muster {

AddedToken AddedToken::from_json(const JsonNode& node) {
    AddedToken token;
    token.content = node.at("content").string();
    token.single_word = node.boolean_or("single_word", false);
    token.lstrip = node.boolean_or("lstrip", false);
    token.rstrip = node.boolean_or("rstrip", false);
    token.special = node.boolean_or("special", false);
    token.normalized = node.boolean_or("normalized", !token.special);
    return token;
}

bool AddedTokens::add(AddedToken token, std::optional<TokenId> id) {
    if (token.content.empty()) return true;
    const auto known = token_to_id(token.content);
    const TokenId next = std::max(max_id(), model_->max_id()) + 1;
    const TokenId place = known ? *known : id.value_or(next);
    const auto other = by_id_.find(place);
    if (other != by_id_.end() && other->second.content != token.content) return false;
    if (!known && model_->id_to_token(place) != nullptr) return false;
    // Once special, always special to skip_special_tokens: the reference keeps a set that only
    // grows.
    if (other != by_id_.end()) token.special = token.special || other->second.special;
    by_content_[token.content] = place;
    by_id_[place] = std::move(token);
    return true;
}

/// Normalized tokens are searched in their normalized form: "<s>" becomes "▁<s>" in Llama-2 files.
/// The reference searches special tokens first, so they win among equal strings.
void AddedTokens::build(const Normalizer* normalizer) {
    for (const bool special : {true, false}) {
        for (const auto& [id, token] : by_id_) {
            if (token.special != special) continue;
            if (!token.normalized) {
                raw_.insert(token.content, raw_ids_.size());
                raw_ids_.push_back(id);
                continue;
            }
            std::string content = token.content;
            if (normalizer != nullptr) normalizer->apply(content);
            normalized_.insert(content, normalized_ids_.size());
            normalized_ids_.push_back(id);
        }
    }
}

void AddedTokens::mark_special(TokenId id) {
    const auto found = by_id_.find(id);
    if (found != by_id_.end()) found->second.special = true;
}

std::optional<TokenId> AddedTokens::token_to_id(std::string_view token) const {
    const auto found = by_content_.find(std::string(token));
    if (found != by_content_.end()) return found->second;
    return model_->token_to_id(token);
}

const AddedToken* AddedTokens::find(TokenId id) const {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : &found->second;
}

bool AddedTokens::is_single_word(std::string_view text, std::size_t begin, std::size_t end) const {
    if (begin > 0) {
        std::size_t previous = begin - 1;
        while (previous > 0 && (text[previous] & 0xC0) == 0x80) previous--;
        if (word_character_.find(text.substr(previous, begin - previous), 0).matched())
            return false;
    }
    return !word_character_.find(text.substr(end), 0).matched();
}

/// Leftmost-longest matches. Blanks that lstrip and rstrip take belong to the token.
std::vector<AddedTokens::Section> AddedTokens::split(std::string_view text, const ByteTrie& trie,
                                                     const std::vector<TokenId>& ids) const {
    std::vector<Section> sections;
    std::size_t done = 0;  // end of the last section
    for (std::size_t pos = 0; pos < text.size();) {
        const auto match = trie.longest(text, pos);
        if (!match) {
            pos++;
            continue;
        }
        const std::size_t match_begin = pos;
        pos = match->end;
        const TokenId id = ids[match->value];
        const AddedToken& token = by_id_.at(id);
        std::size_t begin = match_begin, end = match->end;
        if (token.single_word && !is_single_word(text, begin, end)) continue;
        if (token.lstrip) {
            begin = std::max(strip_white_space(text.substr(0, begin), false, true).size(), done);
        }
        if (token.rstrip) {
            const std::string_view rest = text.substr(end);
            end += rest.size() - strip_white_space(rest, true, false).size();
        }
        if (begin > done) sections.push_back({-1, done, begin});
        sections.push_back({id, begin, end});
        done = end;
    }
    if (done < text.size()) sections.push_back({-1, done, text.size()});
    return sections;
}

}  // namespace muster
