// Qwen3's mixtures of experts: its dense models with a mixture in every block.

#include "architectures.h"
#include "decoder_config.h"
#include "muster/base/text.h"

namespace muster {

namespace {

/// Dense blocks among the mixtures, which no published model has.
void refuse_dense_blocks(ConfigReader& reader) {
    const std::int64_t step = reader.integer_or("decoder_sparse_step", 1, {});
    if (step != 1) {
        reader.problem("decoder_sparse_step",
                       cat(step, ": expected 1, a mixture of experts in every block"));
    }
    const Value dense = reader.value("mlp_only_layers");
    if (!dense.is_null() && !(dense.is_array() && dense.as_array().empty())) {
        reader.problem("mlp_only_layers",
                       "expected an empty list, a mixture of experts in every block");
    }
}

}  // namespace

void read_qwen3_moe_config(ConfigReader& reader, ModelConfig& config) {
    // transformers 5.23, models/qwen3_moe/configuration_qwen3_moe.py
    const DecoderDefaults defaults{.vocab_size = 151936,
                                   .hidden_size = 2048,
                                   .intermediate_size = 6144,
                                   .num_layers = 24,
                                   .num_heads = 32,
                                   .num_kv_heads = 4,
                                   .max_positions = 32768,
                                   .norm_eps = 1e-6,
                                   .has_tokens = false};
    read_decoder_config(reader, defaults, config);
    constexpr std::int64_t kExpertSize = 768, kMaxExpertSize = 1 << 20;
    config.intermediate_size =
        size_or(reader, "moe_intermediate_size", kExpertSize, kMaxExpertSize);
    read_mixture(reader, {"num_experts", "num_local_experts"}, 128, 8, config);
    config.normalize_expert_weights = reader.boolean_or("norm_topk_prob", false);
    refuse_dense_blocks(reader);
    config.qk_norm = true;
    config.qkv_bias = config.output_bias = reader.boolean_or("attention_bias", false);
    // Without use_sliding_window a window is not meant; with it, it is every layer's.
    constexpr std::int64_t kDefaultWindow = 4096;
    const bool slides = reader.boolean_or("use_sliding_window", false);
    const std::int64_t fallback = is_absent(reader, "sliding_window") ? kDefaultWindow : 0;
    if (slides) config.sliding_window = reader.integer_or("sliding_window", fallback, {.min = 1});
}

}  // namespace muster
