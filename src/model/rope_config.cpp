// Rope keys as Transformers 4 and 5 write them (modeling_rope_utils.py, 5.23): a dictionary
// `rope_parameters` with rope_theta inside, or `rope_scaling` with rope_theta beside it; the kind
// under rope_type or type.

#include "decoder_config.h"
#include "muster/base/text.h"

namespace muster {

namespace {

const std::vector<std::string> kRopeTypes = {"default", "linear", "llama3", "dynamic", "yarn"};

bool is_nested(const Value& parameters) {
    if (!parameters.is_object()) return false;
    for (const auto& [key, value] : parameters.as_object().members()) {
        if (value.is_object()) return true;
    }
    return false;
}

void read_llama3(ConfigReader& keys, RopeSpec& spec) {
    spec.factor = keys.real("factor", {1e-6, 1e6});
    spec.low_freq_factor = keys.real("low_freq_factor", {1e-6, 1e6});
    spec.high_freq_factor = keys.real("high_freq_factor", {1e-6, 1e6});
    if (spec.high_freq_factor <= spec.low_freq_factor) {
        keys.problem("high_freq_factor",
                     cat(spec.high_freq_factor,
                         " must be larger than low_freq_factor = ", spec.low_freq_factor));
    }
}

void read_yarn(ConfigReader& keys, const ModelConfig& config, RopeSpec& spec) {
    const std::optional<double> factor = keys.optional_real("factor", {1e-6, 1e6});
    spec.factor = factor.value_or(static_cast<double>(config.max_positions) /
                                  static_cast<double>(spec.original_max_positions));
    const auto non_zero_or = [&](const char* key, double fallback) {
        const double value = keys.real_or(key, fallback, {0.0, 1e6});
        return value == 0.0 ? fallback : value;  // as Python's `or`
    };
    spec.beta_fast = non_zero_or("beta_fast", 32.0);
    spec.beta_slow = non_zero_or("beta_slow", 1.0);
    spec.attention_factor = keys.optional_real("attention_factor", {0.0, 1e6});
    spec.mscale = keys.optional_real("mscale", {0.0, 1e6});
    spec.mscale_all_dim = keys.optional_real("mscale_all_dim", {0.0, 1e6});
    spec.truncate = keys.boolean_or("truncate", true);
}

}  // namespace

RopeSpec read_rope_config(ConfigReader& reader, const ModelConfig& config, double default_theta) {
    RopeSpec spec;
    // Transformers 5 gives the old key precedence when both are there.
    const Value scaling = reader.value("rope_scaling");
    const bool old_key = scaling.is_object() && !scaling.as_object().empty();
    const char* key = old_key ? "rope_scaling" : "rope_parameters";
    if (is_nested(reader.value(key))) {
        reader.problem(key,
                       "rope parameters per layer type are not supported by this model family");
        return spec;
    }
    ConfigReader keys = reader.object(key);
    const double outer_theta = reader.real_or("rope_theta", default_theta, {1.0, 1e12});
    spec.theta = keys.real_or("rope_theta", outer_theta, {1.0, 1e12});
    const double outer_partial = reader.real_or("partial_rotary_factor", 1.0);
    if (keys.real_or("partial_rotary_factor", outer_partial) != 1.0) {
        reader.problem("partial_rotary_factor",
                       "expected 1: partial rotation is not supported by this model family");
    }

    const char* type_key = keys.value("rope_type").is_null() ? "type" : "rope_type";
    const std::string type = keys.choice_or(type_key, "default", kRopeTypes);
    const std::int64_t inner =
        size_or(keys, "original_max_position_embeddings", config.max_positions, 1 << 28);
    spec.original_max_positions =
        size_or(reader, "original_max_position_embeddings", inner, 1 << 28);
    if (type == "linear") {
        spec.type = RopeType::linear;
        spec.factor = keys.real("factor", {1e-6, 1e6});
    } else if (type == "llama3") {
        spec.type = RopeType::llama3;
        read_llama3(keys, spec);
    } else if (type == "dynamic") {
        spec.type = RopeType::dynamic;
        spec.factor = keys.real("factor", {1e-6, 1e6});
        spec.original_max_positions =
            config.max_positions;  // what Transformers scales from, whatever else is said
        if (config.head_dim <= 2) keys.problem("", "dynamic rope needs a head_dim above 2");
    } else if (type == "yarn") {
        spec.type = RopeType::yarn;
        read_yarn(keys, config, spec);
    }
    keys.ignore_rest();
    return spec;
}

}  // namespace muster
