// Reads tokenizer.json and tokenizer_config.json into a Tokenizer::State. The order of steps
// follows transformers' PreTrainedTokenizerFast: the pipeline of tokenizer.json stands as it is,
// then added_tokens_decoder and the named special tokens change the added tokens, then
// add_bos_token and add_eos_token, where the file has them, replace the post-processor.
// (transformers 5 replaces even the normalizer of Llama-class tokenizers; transformers 4 and
// published scores do not.)

#include <filesystem>

#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "tokenizer_state.h"

namespace muster {
namespace {

void require_bpe(const JsonNode& model) {
    // Files from before 2020 have no type; what has merges is BPE.
    if (!model.find("type") && model.find("merges")) return;
    if (model.type() != "BPE") model.fail_type("tokenizer model", {"BPE"});
}

void read_added_tokens(const JsonNode& tokenizer, AddedTokens& added) {
    const auto list = tokenizer.find("added_tokens");
    if (!list) return;
    for (const JsonNode& node : list->elements()) {
        const auto id = static_cast<TokenId>(node.at("id").integer(0, kMaxTokenId));
        if (!added.add(AddedToken::from_json(node), id)) {
            node.fail(cat("id ", id, " belongs to another token already"));
        }
    }
}

void apply_config_tokens(const TokenizerConfig& config, AddedTokens& added) {
    for (const auto& [id, token] : config.added) {
        if (!added.add(token, id)) added.add(token, std::nullopt);
    }
    for (const AddedToken& token : config.special) {
        const auto id = added.token_to_id(token.content);
        if (id && added.find(*id) != nullptr) {
            added.mark_special(*id);
        } else {
            added.add(token, std::nullopt);
        }
    }
}

/// The id of a named special token: as the file says, or the class default if the vocabulary has
/// it.
std::optional<TokenId> special_id(const std::optional<std::string>& named,
                                  const std::optional<std::string>& fallback, AddedTokens& added) {
    if (named) return added.token_to_id(*named);
    if (!fallback) return std::nullopt;
    const auto id = added.token_to_id(*fallback);
    if (!id) return std::nullopt;
    if (added.find(*id) == nullptr) {
        added.add({.content = *fallback, .special = true}, std::nullopt);
    } else {
        added.mark_special(*id);
    }
    return id;
}

/// "Sequence(NFC, Replace)", or "none".
std::string type_names(const std::optional<JsonNode>& node) {
    if (!node) return "none";
    for (const char* key : {"normalizers", "pretokenizers"}) {
        const auto steps = node->find(key);
        if (!steps) continue;
        std::vector<std::string> names;
        for (const JsonNode& step : steps->elements()) names.push_back(type_names(step));
        return cat("Sequence(", join(names, ", "), ")");
    }
    return node->type();
}

std::string describe(const JsonNode& tokenizer, const AddedTokens& added, std::int32_t vocab_size) {
    const JsonNode model = tokenizer.at("model");
    const bool bytes = model.boolean_or("byte_fallback", false);
    return cat("BPE with ", format_count(model.at("vocab").value().as_object().size()),
               " tokens and ", format_count(model.at("merges").value().as_array().size()),
               " merges", bytes ? ", byte fallback" : "",
               "; normalizer: ", type_names(tokenizer.find("normalizer")),
               "; pre-tokenizer: ", type_names(tokenizer.find("pre_tokenizer")), "; ",
               format_count(added.size()), " added tokens; ids below ",
               format_count(static_cast<std::uint64_t>(vocab_size)));
}

/// Members of special_tokens_map.json count only for configs older than added_tokens_decoder.
void merge_special_tokens_map(Object& config, const Value& map) {
    if (config.contains("added_tokens_decoder") || !map.is_object()) return;
    for (const auto& [key, value] : map.as_object().members()) config.set(key, value);
}

Value parse_optional(const std::string& path) {
    if (!std::filesystem::exists(path)) return Object();
    return parse_json(read_file(path), path);
}

}  // namespace

std::unique_ptr<Tokenizer::State> Tokenizer::State::from_json(const JsonNode& tokenizer,
                                                              const JsonNode& config_node) {
    const JsonNode model = tokenizer.at("model");
    require_bpe(model);
    const TokenizerConfig config = TokenizerConfig::from_json(config_node);
    auto state = std::make_unique<State>(model);
    if (const auto node = tokenizer.find("normalizer")) state->normalizer = make_normalizer(*node);
    if (const auto node = tokenizer.find("pre_tokenizer")) {
        state->pre_tokenizer = make_pre_tokenizer(*node, config.add_prefix_space);
    }
    if (const auto node = tokenizer.find("decoder")) state->decoder = make_decoder(*node);
    read_added_tokens(tokenizer, state->added);
    apply_config_tokens(config, state->added);
    state->bos = special_id(config.bos, config.default_bos, state->added);
    state->eos = special_id(config.eos, config.default_eos, state->added);
    state->added.build(state->normalizer.get());
    if (config.add_bos || config.add_eos) {
        if (config.add_bos.value_or(false) && state->bos)
            state->post_processor.prefix = {*state->bos};
        if (config.add_eos.value_or(false) && state->eos)
            state->post_processor.suffix = {*state->eos};
    } else if (const auto node = tokenizer.find("post_processor")) {
        state->post_processor = PostProcessor::from_json(*node);
    }
    state->clean_up_spaces = config.clean_up_spaces;
    state->model_max_length = config.model_max_length;
    state->description = describe(tokenizer, state->added, state->vocab_size());
    return state;
}

Tokenizer Tokenizer::load(const std::string& directory) {
    const std::string path = directory + "/tokenizer.json";
    if (!std::filesystem::exists(path)) {
        throw UserError(cat(path,
                            ": no such file; muster reads tokenizer.json only (convert "
                            "sentencepiece .model files with transformers' save_pretrained)"));
    }
    const Value tokenizer = parse_json(read_file(path), path);
    const std::string config_path = directory + "/tokenizer_config.json";
    Value config = parse_optional(config_path);
    if (config.is_object()) {
        Object& members = config.as_object();
        merge_special_tokens_map(members, parse_optional(directory + "/special_tokens_map.json"));
        if (!members.contains("tokenizer_class")) {
            const Value model_config = parse_optional(directory + "/config.json");
            const Value* name = model_config.find("tokenizer_class");
            const Value* type = model_config.find("model_type");
            if (name != nullptr && name->is_string()) {
                members.set("tokenizer_class", *name);
            } else if (type != nullptr && type->is_string()) {
                members.set("tokenizer_class", tokenizer_class_of(type->as_string()));
            }
        }
    }
    return Tokenizer(State::from_json(JsonNode(tokenizer, path), JsonNode(config, config_path)));
}

Tokenizer Tokenizer::from_json(std::string_view tokenizer_json, std::string_view config_json,
                               const std::string& place) {
    const Value tokenizer = parse_json(tokenizer_json, place);
    const std::string config_place = place + " (config)";
    const Value config =
        config_json.empty() ? Value(Object()) : parse_json(config_json, config_place);
    return Tokenizer(State::from_json(JsonNode(tokenizer, place), JsonNode(config, config_place)));
}

}  // namespace muster
