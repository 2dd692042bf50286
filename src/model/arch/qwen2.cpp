// Qwen2 and what shares its decoder: Qwen1.5 dense, Qwen2.5, QwQ, distillates. Llama with biases of
// q, k and v alone, and a sliding window in the upper layers if it is switched on.

#include "architectures.h"
#include "decoder_config.h"

namespace muster {

void read_qwen2_config(ConfigReader& reader, ModelConfig& config) {
    // transformers 5.23, models/qwen2/configuration_qwen2.py
    const DecoderDefaults defaults{.vocab_size = 151936,
                                   .hidden_size = 4096,
                                   .intermediate_size = 22016,
                                   .num_layers = 32,
                                   .num_heads = 32,
                                   .num_kv_heads = 32,
                                   .max_positions = 32768,
                                   .norm_eps = 1e-6,
                                   .has_tokens = false};
    read_decoder_config(reader, defaults, config);
    read_layer_windows(reader, config);
    config.qkv_bias = true;
}

}  // namespace muster
