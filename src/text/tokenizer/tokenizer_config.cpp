#include "tokenizer_config.h"

#include <charconv>

#include "muster/base/text.h"

namespace muster {
namespace {

/// Hugging Face's default is 1e30, which means "none".
constexpr std::int64_t kMaxSensibleLength = 1'000'000'000;

struct ClassDefaults {
    std::string_view name, bos, eos;  ///< "" for none
};
constexpr ClassDefaults kClasses[] = {
    {"LlamaTokenizer", "<s>", "</s>"},
    {"CodeLlamaTokenizer", "<s>", "</s>"},
    {"GPT2Tokenizer", "<|endoftext|>", "<|endoftext|>"},
    {"GPTNeoXTokenizer", "<|endoftext|>", "<|endoftext|>"},
    {"CodeGenTokenizer", "<|endoftext|>", "<|endoftext|>"},
    {"Qwen2Tokenizer", "", "<|endoftext|>"},
    {"GemmaTokenizer", "<bos>", "<eos>"},
    {"CohereTokenizer", "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>"},
    {"CLIPTokenizer", "<|startoftext|>", "<|endoftext|>"},
};

constexpr std::pair<std::string_view, std::string_view> kModelTypes[] = {
    {"llama", "LlamaTokenizer"},      {"mistral", "LlamaTokenizer"},
    {"mixtral", "LlamaTokenizer"},    {"gpt2", "GPT2Tokenizer"},
    {"gpt_neo", "GPT2Tokenizer"},     {"gptj", "GPT2Tokenizer"},
    {"opt", "GPT2Tokenizer"},         {"phi", "CodeGenTokenizer"},
    {"gpt_neox", "GPTNeoXTokenizer"}, {"olmo", "GPTNeoXTokenizer"},
    {"olmoe", "GPTNeoXTokenizer"},    {"mpt", "GPTNeoXTokenizer"},
    {"qwen2", "Qwen2Tokenizer"},      {"qwen2_moe", "Qwen2Tokenizer"},
    {"qwen2_vl", "Qwen2Tokenizer"},   {"qwen2_5_vl", "Qwen2Tokenizer"},
    {"qwen3", "Qwen2Tokenizer"},      {"qwen3_moe", "Qwen2Tokenizer"},
    {"gemma", "GemmaTokenizer"},      {"gemma2", "GemmaTokenizer"},
    {"gemma3", "GemmaTokenizer"},     {"gemma3_text", "GemmaTokenizer"},
    {"cohere", "CohereTokenizer"},    {"clip", "CLIPTokenizer"},
};

/// "x" or {"content": "x", …}. A special token that is only a string is not normalized.
AddedToken read_special(const JsonNode& node) {
    AddedToken token;
    if (node.value().is_object()) {
        token = AddedToken::from_json(node);
    } else {
        token.content = node.string();
    }
    token.special = true;
    return token;
}

std::optional<bool> optional_boolean(const JsonNode& node, std::string_view key) {
    const Value* value = node.value().find(key);
    if (value == nullptr) return std::nullopt;
    return node.boolean_or(key, false);
}

void read_added(const JsonNode& node, TokenizerConfig& config) {
    if (!node.value().is_object()) node.fail("expected an object of ids and tokens");
    for (const auto& [key, value] : node.value().as_object().members()) {
        std::int64_t id = -1;
        const auto parsed = std::from_chars(key.data(), key.data() + key.size(), id);
        if (parsed.ec != std::errc() || parsed.ptr != key.data() + key.size() || id < 0 ||
            id > kMaxTokenId) {
            node.fail(cat("\"", key, "\": expected an id between 0 and ", kMaxTokenId));
        }
        config.added.emplace_back(static_cast<TokenId>(id), AddedToken::from_json(node.at(key)));
    }
}

void read_special_lists(const JsonNode& node, TokenizerConfig& config) {
    for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
        const auto list = node.find(key);
        if (!list) continue;
        if (list->value().is_object()) {  // extra_special_tokens may name its tokens
            for (const auto& member : list->value().as_object().members()) {
                config.special.push_back(read_special(list->at(member.first)));
            }
            continue;
        }
        for (const JsonNode& token : list->elements())
            config.special.push_back(read_special(token));
    }
}

void read_class_defaults(const JsonNode& node, TokenizerConfig& config) {
    std::string name = node.string_or("tokenizer_class", "");
    if (name.ends_with("Fast")) name.resize(name.size() - 4);
    for (const ClassDefaults& known : kClasses) {
        if (known.name != name) continue;
        // A key that is there and null means "none"; only an absent key gets the default.
        if (!known.bos.empty() && node.value().find("bos_token") == nullptr) {
            config.default_bos = std::string(known.bos);
        }
        if (node.value().find("eos_token") == nullptr) config.default_eos = std::string(known.eos);
    }
}

}  // namespace

TokenizerConfig TokenizerConfig::from_json(const JsonNode& node) {
    TokenizerConfig config;
    for (const char* key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                            "cls_token", "mask_token"}) {
        const auto token = node.find(key);
        if (!token) continue;
        config.special.push_back(read_special(*token));
        if (std::string_view(key) == "bos_token") config.bos = config.special.back().content;
        if (std::string_view(key) == "eos_token") config.eos = config.special.back().content;
    }
    read_special_lists(node, config);
    read_class_defaults(node, config);
    if (const auto added = node.find("added_tokens_decoder")) read_added(*added, config);
    config.add_bos = optional_boolean(node, "add_bos_token");
    config.add_eos = optional_boolean(node, "add_eos_token");
    config.add_prefix_space = optional_boolean(node, "add_prefix_space");
    config.clean_up_spaces = node.boolean_or("clean_up_tokenization_spaces", false);
    if (const auto length = node.find("model_max_length")) {
        const double number = length->value().is_number() ? length->value().as_real() : 0;
        if (number >= 1 && number <= kMaxSensibleLength) {
            config.model_max_length = static_cast<std::int64_t>(number);
        }
    }
    return config;
}

std::string tokenizer_class_of(const std::string& model_type) {
    for (const auto& [type, name] : kModelTypes) {
        if (type == model_type) return std::string(name);
    }
    return "";
}

}  // namespace muster
