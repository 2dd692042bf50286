#pragma once
// What a checkpoint says of how tokens are chosen. transformers' generate() takes from it whatever
// its caller leaves open (5.23, generation/utils.py _prepare_generation_config), and
// lm-evaluation-harness leaves open what a task does not name.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace muster {

struct GenerationDefaults {
    std::string place;  ///< the file that was read; empty: nothing is filtered or penalised
    double temperature = 1, top_p = 1, min_p = 0, repetition_penalty = 1;
    std::int64_t top_k = 0;                      ///< 0: off
    std::optional<std::int64_t> max_new_tokens;  ///< which tasks decide here
    /// Settings that change which tokens are generated and are not offered: "num_beams 4". The
    /// second list is of those that only sampling heeds.
    std::vector<std::string> not_offered, not_offered_when_sampling;
    std::string problems;  ///< what is wrong with the file, for tasks that generate; "": nothing

    /// Reads `directory`/generation_config.json or, where there is none, the same keys of
    /// config.json, as transformers does; what the file leaves out has transformers' own defaults.
    /// Throws UserError if it is no JSON object.
    static GenerationDefaults load(const std::string& directory);
};

}  // namespace muster
