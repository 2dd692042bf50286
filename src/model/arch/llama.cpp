// Llama 1 to 3.x and everything published under its name: Yi, Vicuna, TinyLlama, SmolLM, ….

#include "architectures.h"
#include "decoder_config.h"

namespace muster {

void read_llama_config(ConfigReader& reader, ModelConfig& config) {
    // transformers 5.23, models/llama/configuration_llama.py
    const DecoderDefaults defaults{.vocab_size = 32000,
                                   .hidden_size = 4096,
                                   .intermediate_size = 11008,
                                   .num_layers = 32,
                                   .num_heads = 32,
                                   .num_kv_heads = 0,
                                   .max_positions = 2048,
                                   .norm_eps = 1e-6};
    read_decoder_config(reader, defaults, config);
    config.qkv_bias = config.output_bias = reader.boolean_or("attention_bias", false);
    config.mlp_bias = reader.boolean_or("mlp_bias", false);
}

}  // namespace muster
