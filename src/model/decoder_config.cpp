#include "decoder_config.h"

#include <algorithm>

#include "muster/base/text.h"

namespace muster {

namespace {

// Beyond what any published model needs, and small enough that products of a few sizes fit 64 bits.
constexpr std::int64_t kMaxVocab = 1 << 24, kMaxWidth = 1 << 20, kMaxLayers = 1 << 11,
                       kMaxHeads = 1 << 13;
constexpr std::int64_t kMaxExperts = 1 << 11, kMaxExpertsPerToken = 64,
                       kMaxExpertWidth = 1 << 24;  // of all experts of a layer together
constexpr std::int64_t kMaxHeadDim = 1 << 10, kMaxPositions = 1 << 28;

void read_heads(ConfigReader& reader, const DecoderDefaults& defaults, ModelConfig& config) {
    config.num_heads = size_or(reader, "num_attention_heads", defaults.num_heads, kMaxHeads);
    // Absent takes the family's default, null means one key head per query head.
    const bool kv_absent = is_absent(reader, "num_key_value_heads");
    const std::int64_t kv_default =
        kv_absent && defaults.num_kv_heads > 0 ? defaults.num_kv_heads : config.num_heads;
    config.num_kv_heads = size_or(reader, "num_key_value_heads", kv_default, kMaxHeads);
    if (config.num_heads % config.num_kv_heads != 0) {
        reader.problem("num_attention_heads",
                       cat(config.num_heads, " heads are not a multiple of ", config.num_kv_heads,
                           " key-value heads (num_key_value_heads)"));
    }
    const bool derived = reader.value("head_dim").is_null() && defaults.head_dim == 0;
    const std::int64_t fallback =
        derived ? config.hidden_size / config.num_heads : defaults.head_dim;
    config.head_dim = size_or(reader, "head_dim", fallback, kMaxHeadDim);
    if (derived && config.hidden_size % config.num_heads != 0) {
        reader.problem("hidden_size",
                       cat(config.hidden_size, " is not a multiple of ", config.num_heads,
                           " attention heads, and there is no head_dim"));
    } else if (config.head_dim < 2 || config.head_dim % 2 != 0 || config.head_dim > kMaxHeadDim) {
        reader.problem("head_dim",
                       cat(config.head_dim, " cannot be rotated: expected an even number up to ",
                           kMaxHeadDim, derived ? " (hidden_size / num_attention_heads)" : ""));
    }
}

}  // namespace

std::int64_t size_or(ConfigReader& reader, const char* key, std::int64_t fallback,
                     std::int64_t max) {
    return std::max<std::int64_t>(1, reader.integer_or(key, fallback, {1, max}));
}

bool read_token_ids(ConfigReader& reader, const char* key, std::int64_t vocab_size,
                    std::vector<std::int32_t>& ids) {
    const Value value = reader.value(key);
    if (value.is_null()) return false;
    const Array list = value.is_array() ? value.as_array() : Array{value};
    for (const Value& id : list) {
        if (!id.is_integer() || id.as_integer() < 0 || id.as_integer() >= vocab_size) {
            reader.problem(key, cat("expected token ids from 0 to ", vocab_size - 1));
            return true;
        }
        ids.push_back(static_cast<std::int32_t>(id.as_integer()));
    }
    return true;
}

void read_mixture(ConfigReader& reader, const std::vector<const char*>& count_keys,
                  std::int64_t experts, std::int64_t per_token, ModelConfig& config) {
    const char* count_key = count_keys[0];
    for (const char* key : count_keys)
        if (!reader.value(key).is_null()) count_key = key;
    config.num_experts = size_or(reader, count_key, experts, kMaxExperts);
    config.experts_per_token =
        size_or(reader, "num_experts_per_tok", per_token, kMaxExpertsPerToken);
    if (config.experts_per_token > config.num_experts) {
        reader.problem("num_experts_per_tok",
                       cat(config.experts_per_token, " of ", config.num_experts, " experts (",
                           count_key, ")"));
    }
    if (config.num_experts * config.intermediate_size > kMaxExpertWidth) {
        reader.problem(count_key,
                       cat(config.num_experts, " experts of size ", config.intermediate_size,
                           ": expected at most ", kMaxExpertWidth, " together"));
    }
}

void read_decoder_config(ConfigReader& reader, const DecoderDefaults& defaults,
                         ModelConfig& config) {
    config.vocab_size = size_or(reader, "vocab_size", defaults.vocab_size, kMaxVocab);
    config.hidden_size = size_or(reader, "hidden_size", defaults.hidden_size, kMaxWidth);
    config.intermediate_size =
        size_or(reader, "intermediate_size", defaults.intermediate_size, kMaxWidth);
    config.num_layers = size_or(reader, "num_hidden_layers", defaults.num_layers, kMaxLayers);
    config.max_positions =
        size_or(reader, "max_position_embeddings", defaults.max_positions, kMaxPositions);
    config.norm_eps = reader.real_or("rms_norm_eps", defaults.norm_eps, {0.0, 1.0});
    config.tie_embeddings = reader.boolean_or("tie_word_embeddings", false);
    reader.choice_or("hidden_act", "silu", {"silu", "swish"});
    read_heads(reader, defaults, config);
    config.rope = read_rope_config(reader, config, defaults.rope_theta);

    // Null means none, whatever the family's default.
    std::vector<std::int32_t> bos;
    if (defaults.has_tokens && is_absent(reader, "bos_token_id")) bos = {1};
    if (defaults.has_tokens && is_absent(reader, "eos_token_id")) config.eos_ids = {2};
    read_token_ids(reader, "bos_token_id", config.vocab_size, bos);
    read_token_ids(reader, "eos_token_id", config.vocab_size, config.eos_ids);
    if (!bos.empty()) config.bos_id = bos[0];
}

void read_layer_windows(ConfigReader& reader, ModelConfig& config) {
    constexpr std::int64_t kDefaultWindow = 4096, kDefaultFullLayers = 28;
    const bool used = reader.boolean_or("use_sliding_window", false);
    const std::int64_t fallback = is_absent(reader, "sliding_window") ? kDefaultWindow : 0;
    // Without use_sliding_window the published files name a window that is not meant.
    const std::int64_t window =
        used ? reader.integer_or("sliding_window", fallback, {.min = 1}) : 0;
    const std::int64_t full =
        reader.integer_or("max_window_layers", kDefaultFullLayers, {.min = 0});
    const auto layers = static_cast<std::size_t>(config.num_layers);
    std::vector<bool> slides(layers);
    for (std::size_t i = 0; i < layers; ++i)
        slides[i] = window > 0 && static_cast<std::int64_t>(i) >= full;

    const std::vector<std::string> types = reader.strings_or("layer_types", {});
    const bool listed = !reader.value("layer_types").is_null();
    if (listed && types.size() != layers) {
        reader.problem("layer_types", cat(types.size(), " types for ", layers, " layers"));
        return;
    }
    for (std::size_t i = 0; i < types.size(); ++i) {
        slides[i] = types[i] == "sliding_attention";
        if (!slides[i] && types[i] != "full_attention") {
            reader.problem("layer_types", cat("unknown value \"", types[i], "\" for layer ", i,
                                              "; expected full_attention or sliding_attention"));
        } else if (slides[i] && window == 0) {
            reader.problem("layer_types",
                           cat("layer ", i, " has sliding_attention, but there is no ",
                               "window: see use_sliding_window and sliding_window"));
            return;
        }
    }
    if (std::find(slides.begin(), slides.end(), true) == slides.end()) return;
    config.sliding_window = window;
    slides.flip();
    if (std::find(slides.begin(), slides.end(), true) != slides.end()) config.full_layers = slides;
}

}  // namespace muster
