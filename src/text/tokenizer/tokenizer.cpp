#include "muster/text/tokenizer.h"

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "tokenizer_state.h"

namespace muster {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{64} << 20;

/// transformers' clean_up_tokenization: undoes the blanks of word-level tokenizers.
void clean_up_spaces(std::string& text) {
    static constexpr std::pair<std::string_view, std::string_view> kRules[] = {
        {" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
        {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (const auto& [from, to] : kRules) {
        std::string out;
        std::size_t done = 0;
        for (std::size_t at = text.find(from); at != text.npos; at = text.find(from, done)) {
            out.append(text, done, at - done);
            out += to;
            done = at + from.size();
        }
        out.append(text, done);
        text = std::move(out);
    }
}

}  // namespace

void Tokenizer::State::encode_words(std::string_view text, bool at_start,
                                    std::vector<TokenId>& out) const {
    if (!pre_tokenizer) return model.encode_word(text, out);
    PreTokens tokens{std::string(text), {{0, text.size()}}, at_start};
    pre_tokenizer->apply(tokens);
    encode_pieces(tokens, out);
}

void Tokenizer::State::encode_pieces(const PreTokens& tokens, std::vector<TokenId>& out) const {
    for (const Piece& piece : tokens.pieces) {
        model.encode_word(
            std::string_view(tokens.text).substr(piece.begin, piece.end - piece.begin), out);
    }
}

void Tokenizer::State::encode_text(std::string_view text, std::vector<TokenId>& out) const {
    for (const AddedTokens::Section& section : added.split_raw(text)) {
        if (section.id >= 0) {
            out.push_back(section.id);
            continue;
        }
        std::string normalized(text.substr(section.begin, section.end - section.begin));
        if (normalizer) normalizer->apply(normalized);
        for (const AddedTokens::Section& part : added.split_normalized(normalized)) {
            if (part.id >= 0) {
                out.push_back(part.id);
            } else {
                encode_words(std::string_view(normalized).substr(part.begin, part.end - part.begin),
                             section.begin == 0 && part.begin == 0, out);
            }
        }
    }
}

std::optional<std::string> Tokenizer::State::normalize_plain(std::string_view text) const {
    const auto is_plain = [](const std::vector<AddedTokens::Section>& sections) {
        return sections.size() == 1 && sections.front().id < 0;
    };
    if (!is_plain(added.split_raw(text))) return std::nullopt;
    std::string normalized(text);
    if (normalizer) normalizer->apply(normalized);
    if (!is_plain(added.split_normalized(normalized))) return std::nullopt;
    return normalized;
}

std::size_t Tokenizer::State::encode_certain(std::string_view text, bool at_start,
                                             std::vector<TokenId>& out) const {
    if (!pre_tokenizer) {
        const std::size_t bytes = model.certain_bytes(text);
        model.encode_word(text.substr(0, bytes), out);
        return bytes;
    }
    PreTokens tokens{std::string(text), {{0, text.size()}}, at_start};
    const std::size_t bytes = pre_tokenizer->apply_certain(tokens);
    encode_pieces(tokens, out);
    return bytes;
}

bool Tokenizer::State::encode_rest(std::string_view text, const TextBeginning& beginning,
                                   std::vector<TokenId>& out) const {
    const std::optional<std::string> normalized = normalize_plain(text);
    if (!normalized || !normalized->starts_with(beginning.text)) return false;
    out.insert(out.end(), beginning.ids.begin(), beginning.ids.end());
    const std::string_view rest = std::string_view(*normalized).substr(beginning.bytes);
    if (!rest.empty()) encode_words(rest, false, out);
    return true;
}

const std::string* Tokenizer::State::spelling(TokenId id) const {
    const AddedToken* token = added.find(id);
    return token != nullptr ? &token->content : model.id_to_token(id);
}

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

std::vector<TokenId> Tokenizer::encode(std::string_view text, bool add_special_tokens,
                                       const TextBeginning& beginning) const {
    if (text.size() > kMaxTextBytes) {
        throw UserError(cat("tokenizer: a text of ", format_bytes(text.size()), " is longer than ",
                            format_bytes(kMaxTextBytes)));
    }
    std::vector<TokenId> ids;
    ids.reserve(text.size() / 3 + 8);
    const PostProcessor& post = state_->post_processor;
    if (add_special_tokens) ids = post.prefix;
    if (!is_valid_utf8(text)) {
        state_->encode_text(replace_invalid_utf8(text), ids);
    } else if (beginning.bytes == 0 || !state_->encode_rest(text, beginning, ids)) {
        state_->encode_text(text, ids);
    }
    if (add_special_tokens) ids.insert(ids.end(), post.suffix.begin(), post.suffix.end());
    return ids;
}

TextBeginning Tokenizer::begin(std::string_view text, const TextBeginning& earlier) const {
    TextBeginning beginning;
    if (text.size() > kMaxTextBytes || !is_valid_utf8(text)) return beginning;
    std::optional<std::string> normalized = state_->normalize_plain(text);
    if (!normalized) return beginning;
    if (normalized->starts_with(earlier.text)) {
        beginning.bytes = earlier.bytes;
        beginning.ids = earlier.ids;
    }
    const bool at_start = beginning.bytes == 0;
    beginning.bytes += state_->encode_certain(std::string_view(*normalized).substr(beginning.bytes),
                                              at_start, beginning.ids);
    beginning.text = std::move(*normalized);
    return beginning;
}

std::string Tokenizer::decode(const std::vector<TokenId>& ids, bool skip_special_tokens) const {
    std::vector<std::string> tokens;
    tokens.reserve(ids.size());
    for (const TokenId id : ids) {
        const std::string* spelling = state_->spelling(id);
        if (spelling == nullptr || (skip_special_tokens && is_special(id))) continue;
        tokens.push_back(*spelling);
    }
    if (state_->decoder) state_->decoder->apply(tokens);
    std::string text = join(tokens, state_->decoder ? "" : " ");
    if (state_->clean_up_spaces) clean_up_spaces(text);
    return text;
}

std::int32_t Tokenizer::vocab_size() const {
    return state_->vocab_size();
}

std::optional<TokenId> Tokenizer::token_to_id(std::string_view token) const {
    return state_->added.token_to_id(token);
}

std::string Tokenizer::id_to_token(TokenId id) const {
    const std::string* spelling = state_->spelling(id);
    return spelling == nullptr ? "" : *spelling;
}

bool Tokenizer::is_special(TokenId id) const {
    const AddedToken* token = state_->added.find(id);
    return token != nullptr && token->special;
}

std::optional<TokenId> Tokenizer::bos_id() const {
    return state_->bos;
}
std::optional<TokenId> Tokenizer::eos_id() const {
    return state_->eos;
}

bool Tokenizer::adds_bos() const {
    const auto& prefix = state_->post_processor.prefix;
    return state_->bos && !prefix.empty() && prefix.front() == *state_->bos;
}

std::optional<std::int64_t> Tokenizer::model_max_length() const {
    return state_->model_max_length;
}
std::string Tokenizer::description() const {
    return state_->description;
}

}  // namespace muster
