// Mistral: Llama without biases, with a sliding window in v0.1 and an explicit head_dim since Nemo.

#include "architectures.h"
#include "decoder_config.h"

namespace muster {

void read_mistral_config(ConfigReader& reader, ModelConfig& config) {
    // transformers 5.23, models/mistral/configuration_mistral.py
    const DecoderDefaults defaults{.vocab_size = 32000,
                                   .hidden_size = 4096,
                                   .intermediate_size = 14336,
                                   .num_layers = 32,
                                   .num_heads = 32,
                                   .num_kv_heads = 8,
                                   .max_positions = 4096 * 32,
                                   .norm_eps = 1e-6};
    read_decoder_config(reader, defaults, config);
    // Absent is the class default, null is none.
    constexpr std::int64_t kDefaultWindow = 4096;
    const std::int64_t fallback = is_absent(reader, "sliding_window") ? kDefaultWindow : 0;
    config.sliding_window = reader.integer_or("sliding_window", fallback, {.min = 1});
}

}  // namespace muster
