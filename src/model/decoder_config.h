#pragma once
// The keys that all decoder families share, with the defaults in which they differ.

#include "muster/config/reader.h"
#include "muster/model/model_config.h"

namespace muster {

/// Values of keys that a config.json leaves out.
struct DecoderDefaults {
    std::int64_t vocab_size, hidden_size, intermediate_size, num_layers, num_heads;
    std::int64_t num_kv_heads;  ///< 0: as many as heads
    std::int64_t max_positions;
    double norm_eps;
    std::int64_t head_dim = 0;  ///< 0: hidden_size / heads
    bool has_tokens = true;     ///< <s> = 1 and </s> = 2
    double rope_theta = 10000.0;
};

/// True if the object does not have the key at all; for some keys null means something else.
inline bool is_absent(const ConfigReader& reader, const char* key) {
    return reader.root().find(key) == nullptr;
}

/// An integer from 1 to `max`; 1 if the value is no such number, which is a problem by then.
std::int64_t size_or(ConfigReader& reader, const char* key, std::int64_t fallback,
                     std::int64_t max);

/// Reads sizes, activation, tying, special tokens and rope; checks that they fit each other.
void read_decoder_config(ConfigReader& reader, const DecoderDefaults& defaults,
                         ModelConfig& config);

/// Reads use_sliding_window, sliding_window, max_window_layers and layer_types as Qwen's families
/// have them; `config` already has its layers.
void read_layer_windows(ConfigReader& reader, ModelConfig& config);

/// Reads how many experts a mixture has, under one of `count_keys`, and how many of them a token
/// goes to; families differ in their defaults.
void read_mixture(ConfigReader& reader, const std::vector<const char*>& count_keys,
                  std::int64_t experts, std::int64_t per_token, ModelConfig& config);

/// Reads rope_parameters or rope_scaling; `config` already has its sizes.
RopeSpec read_rope_config(ConfigReader& reader, const ModelConfig& config, double default_theta);

/// The ids under `key`: an integer or an array of integers. False if the key is absent or null.
bool read_token_ids(ConfigReader& reader, const char* key, std::int64_t vocab_size,
                    std::vector<std::int32_t>& ids);

}  // namespace muster
