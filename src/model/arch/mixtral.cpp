// Mixtral: Mistral with a mixture of experts in every block, whose weights add up to one.

#include "architectures.h"
#include "decoder_config.h"

namespace muster {

void read_mixtral_config(ConfigReader& reader, ModelConfig& config) {
    // transformers 5.23, models/mixtral/configuration_mixtral.py
    const DecoderDefaults defaults{.vocab_size = 32000,
                                   .hidden_size = 4096,
                                   .intermediate_size = 14336,
                                   .num_layers = 32,
                                   .num_heads = 32,
                                   .num_kv_heads = 8,
                                   .max_positions = 4096 * 32,
                                   .norm_eps = 1e-5,
                                   .rope_theta = 1e6};
    read_decoder_config(reader, defaults, config);
    read_mixture(reader, {"num_local_experts", "num_experts"}, 8, 2, config);
    config.expert_names = ExpertNames::mixtral;
    config.sliding_window = reader.integer_or("sliding_window", 0, {.min = 1});
}

}  // namespace muster
