#include "decoder_config.h"

#include "muster/base/text.h"

namespace muster {

namespace {

// Beyond what any published model needs, and small enough that products of a few sizes fit 64 bits.
constexpr std::int64_t kMaxVocab = 1 << 24, kMaxWidth = 1 << 20, kMaxLayers = 1 << 12,
                       kMaxHeads = 1 << 14;
constexpr std::int64_t kMaxHeadDim = 1 << 12, kMaxPositions = 1 << 28;

void read_heads(ConfigReader& reader, const DecoderDefaults& defaults, ModelConfig& config) {
    config.num_heads = reader.integer_or("num_attention_heads", defaults.num_heads, {1, kMaxHeads});
    // Absent takes the family's default, null means one key head per query head.
    const bool kv_absent = !reader.has("num_key_value_heads");
    const std::int64_t kv_default =
        kv_absent && defaults.num_kv_heads > 0 ? defaults.num_kv_heads : config.num_heads;
    config.num_kv_heads = reader.integer_or("num_key_value_heads", kv_default, {1, kMaxHeads});
    if (config.num_heads % config.num_kv_heads != 0) {
        reader.problem("num_attention_heads",
                       cat(config.num_heads, " heads are not a multiple of ", config.num_kv_heads,
                           " key-value heads (num_key_value_heads)"));
    }
    config.head_dim =
        reader.integer_or("head_dim", config.hidden_size / config.num_heads, {1, kMaxHeadDim});
    const bool derived = reader.value("head_dim").is_null();
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

void read_decoder_config(ConfigReader& reader, const DecoderDefaults& defaults,
                         ModelConfig& config) {
    config.vocab_size = reader.integer_or("vocab_size", defaults.vocab_size, {1, kMaxVocab});
    config.hidden_size = reader.integer_or("hidden_size", defaults.hidden_size, {1, kMaxWidth});
    config.intermediate_size =
        reader.integer_or("intermediate_size", defaults.intermediate_size, {1, kMaxWidth});
    config.num_layers =
        reader.integer_or("num_hidden_layers", defaults.num_layers, {1, kMaxLayers});
    config.max_positions =
        reader.integer_or("max_position_embeddings", defaults.max_positions, {1, kMaxPositions});
    config.norm_eps = reader.real_or("rms_norm_eps", defaults.norm_eps, {0.0, 1.0});
    config.tie_embeddings = reader.boolean_or("tie_word_embeddings", false);
    reader.choice_or("hidden_act", "silu", {"silu", "swish"});
    read_heads(reader, defaults, config);
    config.rope = read_rope_config(reader, config);

    // Both families' classes default to <s> = 1 and </s> = 2; null means none.
    std::vector<std::int32_t> bos;
    if (!reader.has("bos_token_id")) bos = {1};
    if (!reader.has("eos_token_id")) config.eos_ids = {2};
    read_token_ids(reader, "bos_token_id", config.vocab_size, bos);
    read_token_ids(reader, "eos_token_id", config.vocab_size, config.eos_ids);
    if (!bos.empty()) config.bos_id = bos[0];
}

}  // namespace muster
