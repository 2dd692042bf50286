#include "muster/model/generation_defaults.h"

#include <filesystem>
#include <limits>

#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/config/reader.h"

namespace muster {

namespace {

constexpr double kAnyNumber = std::numeric_limits<double>::quiet_NaN();  // changes something

/// A key of GenerationConfig (transformers 5.23, generation/configuration_utils.py) that leads to
/// another search, another stop or a logits processor of its own, and the number at which it does
/// nothing. Keys that tell only how to compute (caches, assistants, outputs) are not among them,
/// nor those that only beam search heeds.
struct OtherKey {
    const char* name;
    double neutral = kAnyNumber;
    bool sampling_only = false;
};
constexpr OtherKey kOtherKeys[] = {
    {"num_beams", 1},
    {"num_beam_groups", 1},
    {"num_return_sequences", 1},
    {"diversity_penalty", 0},
    {"penalty_alpha", 0},
    {"no_repeat_ngram_size", 0},
    {"encoder_no_repeat_ngram_size", 0},
    {"encoder_repetition_penalty", 1},
    {"min_length", 0},
    {"min_new_tokens", 0},
    {"guidance_scale", 1},
    {"bad_words_ids"},
    {"sequence_bias"},
    {"suppress_tokens"},
    {"begin_suppress_tokens"},
    {"forced_bos_token_id"},
    {"forced_eos_token_id"},
    {"exponential_decay_length_penalty"},
    {"watermarking_config"},
    {"stop_strings"},
    {"max_time"},
    {"token_healing"},
    {"constraints"},
    {"force_words_ids"},
    {"dola_layers"},
    {"typical_p", 1, true},
    {"epsilon_cutoff", 0, true},
    {"eta_cutoff", 0, true},
    {"top_h", kAnyNumber, true},
};

bool does_nothing(const Value& value, double neutral) {
    switch (value.kind()) {
        case Value::Kind::null:
            return true;
        case Value::Kind::boolean:
            return !value.as_bool();
        case Value::Kind::integer:
        case Value::Kind::real:
            return value.as_real() == neutral;
        case Value::Kind::string:
            return value.as_string().empty();
        case Value::Kind::array:
            return value.as_array().empty();
        case Value::Kind::object:
            return value.as_object().empty();
    }
    return false;
}

/// The value for a message, which need not show long lists.
std::string shown(const Value& value) {
    return value.is_array() || value.is_object() ? "" : " " + to_json(value);
}

}  // namespace

GenerationDefaults GenerationDefaults::load(const std::string& directory) {
    GenerationDefaults defaults;
    defaults.place = directory + "/generation_config.json";
    if (!std::filesystem::exists(defaults.place)) defaults.place = directory + "/config.json";
    ConfigReader reader(parse_json(read_file(defaults.place), defaults.place), defaults.place);
    constexpr std::int64_t kMost = std::int64_t{1} << 30;
    defaults.temperature = reader.real_or("temperature", 1, {0, 1e6});
    if (defaults.temperature == 0) defaults.temperature = 1;  // which some write for greedy
    defaults.top_k = reader.integer_or("top_k", 50, {0, kMost});
    defaults.top_p = reader.real_or("top_p", 1, {0, 1});
    defaults.min_p = reader.real_or("min_p", 0, {0, 1});
    defaults.repetition_penalty = reader.real_or("repetition_penalty", 1, {1e-3, 1000});
    defaults.max_new_tokens = reader.optional_integer("max_new_tokens", {1, kMost});
    for (const OtherKey& key : kOtherKeys) {
        const Value value = reader.value(key.name);
        if (does_nothing(value, key.neutral)) continue;
        (key.sampling_only ? defaults.not_offered_when_sampling : defaults.not_offered)
            .push_back(key.name + shown(value));
    }
    reader.ignore_rest();
    try {
        reader.finish();
    } catch (const UserError& e) {
        defaults.problems = e.what();
    }
    return defaults;
}

}  // namespace muster
