#include "bpe.h"

#include <array>
#include <atomic>
#include <cstdio>

#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "word_cache.h"

namespace muster {
namespace {

constexpr std::size_t kMaxTokenBytes = 64 * 1024;
constexpr char32_t kCharacterTable = 0x3000;

std::uint64_t next_serial() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
}

std::string byte_token(int byte) {
    std::array<char, 8> text;
    std::snprintf(text.data(), text.size(), "<0x%02X>", static_cast<unsigned>(byte));
    return text.data();
}

}  // namespace

Bpe::Bpe(const JsonNode& node)
    : word_prefix_(node.string_or("continuing_subword_prefix", "")),
      word_suffix_(node.string_or("end_of_word_suffix", "")),
      fuse_unknown_(node.boolean_or("fuse_unk", false)),
      byte_fallback_(node.boolean_or("byte_fallback", false)),
      ignore_merges_(node.boolean_or("ignore_merges", false)),
      may_cut_(!ignore_merges_ && word_prefix_.empty() && word_suffix_.empty()),
      serial_(next_serial()) {
    if (const auto dropout = node.find("dropout")) {
        if (!dropout->value().is_number() || dropout->value().as_real() != 0) {
            dropout->fail("dropout would make ids random; only null and 0 are supported");
        }
    }
    read_vocabulary(node.at("vocab"));
    read_merges(node.at("merges"));
    if (const auto unknown = node.find("unk_token")) {
        unknown_id_ = token_to_id(unknown->string());
        if (!unknown_id_) unknown->fail(cat("\"", unknown->string(), "\" is not in /model/vocab"));
    }
    for (int byte = 0; byte < 256; byte++) {
        byte_ids_.push_back(token_to_id(byte_token(byte)).value_or(-1));
    }
}

void Bpe::read_vocabulary(const JsonNode& node) {
    if (!node.value().is_object()) node.fail("expected an object of tokens and ids");
    const auto& members = node.value().as_object().members();
    ids_.reserve(members.size());
    character_ids_.assign(kCharacterTable, -1);
    for (const auto& [token, id] : members) {
        if (!id.is_integer() || id.as_integer() < 0 || id.as_integer() > kMaxTokenId ||
            token.size() > kMaxTokenBytes) {
            node.fail(cat("\"", token.substr(0, 100), "\": expected a token of at most ",
                          kMaxTokenBytes, " bytes with an id between 0 and ", kMaxTokenId));
        }
        const auto index = static_cast<std::size_t>(id.as_integer());
        const auto [place, added] = ids_.try_emplace(token, static_cast<TokenId>(index));
        if (!added)
            place->second = static_cast<TokenId>(index);  // a repeated key: the last one counts
        if (tokens_.size() <= index) tokens_.resize(index + 1, nullptr);
        tokens_[index] = &place->first;
        std::size_t end = 0;
        const char32_t character = token.empty() ? kCharacterTable : next_code_point(token, end);
        if (!token.empty() && end == token.size()) cutter_.learn_character(character);
        if (character < kCharacterTable && end == token.size()) {
            character_ids_[character] = place->second;
        }
    }
}

void Bpe::read_merges(const JsonNode& node) {
    if (!node.value().is_array()) node.fail("expected an array");
    const Array& merges = node.value().as_array();
    if (merges.size() > static_cast<std::size_t>(kMaxTokenId)) node.fail("too many merges");
    merges_.reserve(merges.size());
    if (may_cut_) cutter_.reserve(merges.size());
    for (std::size_t rank = 0; rank < merges.size(); rank++) {
        const Value& entry = merges[rank];
        std::string_view left, right;
        if (entry.is_string()) {
            // "a b". Where tokens contain blanks themselves the split that names known tokens
            // counts.
            const std::string& text = entry.as_string();
            for (std::size_t at = text.find(' '); at != text.npos; at = text.find(' ', at + 1)) {
                left = std::string_view(text).substr(0, at);
                right = std::string_view(text).substr(at + 1);
                if (is_merge(left, right)) break;
            }
        } else if (entry.is_array() && entry.as_array().size() == 2 &&
                   entry.as_array()[0].is_string() && entry.as_array()[1].is_string()) {
            left = entry.as_array()[0].as_string();
            right = entry.as_array()[1].as_string();
        } else {
            node.elements()[rank].fail("expected \"a b\" or [\"a\", \"b\"]");
        }
        if (!is_merge(left, right)) {
            node.elements()[rank].fail(
                cat("merges \"", left.substr(0, 100), "\" and \"", right.substr(0, 100),
                    "\", but not all of the two and their concatenation are in "
                    "/model/vocab"));
        }
        add_merge(left, right, rank);
    }
}

bool Bpe::is_merge(std::string_view left, std::string_view right) const {
    if (!token_to_id(left) || !token_to_id(right)) return false;
    if (right.size() < word_prefix_.size()) return false;
    return token_to_id(cat(left, right.substr(word_prefix_.size()))).has_value();
}

void Bpe::add_merge(std::string_view left, std::string_view right, std::size_t rank) {
    const std::string merged = cat(left, right.substr(word_prefix_.size()));
    if (may_cut_) cutter_.learn_merge(left, right);
    merges_.insert(*token_to_id(left), *token_to_id(right),
                   {static_cast<std::uint32_t>(rank), *token_to_id(merged)});
}

std::optional<TokenId> Bpe::token_to_id(std::string_view token) const {
    const auto found = ids_.find(token);
    if (found == ids_.end()) return std::nullopt;
    return found->second;
}

const std::string* Bpe::id_to_token(TokenId id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= tokens_.size()) return nullptr;
    return tokens_[static_cast<std::size_t>(id)];
}

void Bpe::encode_word(std::string_view word, std::vector<TokenId>& out) const {
    if (WordCache::accepts(word) || !may_cut_) return encode_segment(word, out);
    for (std::size_t begin = 0; begin < word.size();) {
        const std::size_t end = cutter_.segment_end(word, begin);
        encode_segment(word.substr(begin, end - begin), out);
        begin = end;
    }
}

std::size_t Bpe::certain_bytes(std::string_view word) const {
    std::size_t begin = 0;
    while (may_cut_ && begin < word.size()) {
        const std::size_t end = cutter_.segment_end(word, begin);
        if (end == word.size()) break;  // the last segment may go on
        begin = end;
    }
    return begin;
}

void Bpe::encode_segment(std::string_view word, std::vector<TokenId>& out) const {
    const bool cached = WordCache::accepts(word);
    WordCache& cache = WordCache::of_this_thread();
    if (cached && cache.find(serial_, word, out)) return;
    std::vector<TokenId> symbols;
    const std::optional<TokenId> whole = ignore_merges_ ? token_to_id(word) : std::nullopt;
    if (whole) {
        symbols.push_back(*whole);
    } else {
        spell(word, symbols);
        merge(symbols);
    }
    if (cached) cache.store(serial_, word, symbols);
    out.insert(out.end(), symbols.begin(), symbols.end());
}

std::optional<TokenId> Bpe::character_id(std::string_view character, char32_t code_point) const {
    if (code_point >= kCharacterTable) return token_to_id(character);
    const TokenId id = character_ids_[code_point];
    if (id < 0) return std::nullopt;
    return id;
}

/// The tokens of the single characters. As in the reference, an unknown character is held back
/// until the next known one (so that several can fuse), byte tokens do not flush it, and without
/// unk_token it vanishes.
void Bpe::spell(std::string_view word, std::vector<TokenId>& out) const {
    bool unknown_pending = false;
    std::string spelled;
    for (std::size_t pos = 0; pos < word.size();) {
        const std::size_t begin = pos;
        const char32_t code_point = next_code_point(word, pos);
        std::string_view character = word.substr(begin, pos - begin);
        std::optional<TokenId> id;
        if ((begin > 0 && !word_prefix_.empty()) || (pos == word.size() && !word_suffix_.empty())) {
            spelled = begin > 0 ? word_prefix_ : "";
            spelled += character;
            if (pos == word.size()) spelled += word_suffix_;
            character = spelled;
            id = token_to_id(character);
        } else {
            id = character_id(character, code_point);
        }
        if (id) {
            if (unknown_pending) out.push_back(*unknown_id_);
            unknown_pending = false;
            out.push_back(*id);
        } else if (!(byte_fallback_ && spell_bytes(character, out)) && unknown_id_) {
            if (unknown_pending && !fuse_unknown_) out.push_back(*unknown_id_);
            unknown_pending = true;
        }
    }
    if (unknown_pending) out.push_back(*unknown_id_);
}

bool Bpe::spell_bytes(std::string_view character, std::vector<TokenId>& out) const {
    const std::size_t before = out.size();
    for (const char c : character) {
        const TokenId id = byte_ids_[static_cast<unsigned char>(c)];
        if (id < 0) {
            out.resize(before);
            return false;
        }
        out.push_back(id);
    }
    return true;
}

}  // namespace muster
