// Qwen3's dense models: an RMSNorm of every head of q and k, an explicit head_dim, biases only if
// attention_bias says so.

#include "architectures.h"
#include "decoder_config.h"

namespace muster {

void read_qwen3_config(ConfigReader& reader, ModelConfig& config) {
    // transformers 5.23, models/qwen3/configuration_qwen3.py
    const DecoderDefaults defaults{.vocab_size = 151936,
                                   .hidden_size = 4096,
                                   .intermediate_size = 22016,
                                   .num_layers = 32,
                                   .num_heads = 32,
                                   .num_kv_heads = 32,
                                   .max_positions = 32768,
                                   .norm_eps = 1e-6,
                                   .head_dim = 128,
                                   .has_tokens = false};
    read_decoder_config(reader, defaults, config);
    read_layer_windows(reader, config);
    config.qk_norm = true;
    config.qkv_bias = config.output_bias = reader.boolean_or("attention_bias", false);
}

}  // namespace muster
