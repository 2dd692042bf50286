#pragma once
// What `bench` measures: each phase is a kind of requests and the least work that answers them.

#include <cstdint>
#include <string>
#include <vector>

#include "cli/bench_options.h"
#include "muster/backend/profile.h"
#include "muster/engine/engine.h"

namespace muster {

std::vector<std::string> phase_names();

// mmlu-like: MMLU with five examples as lm-evaluation-harness asks it is about this long with
// Llama's tokenizer, and its four answers are one token each.
inline constexpr std::int64_t kPrefixTokens = 506, kQuestionTokens = 105, kChoices = 4;

/// One run of a phase on one replica: what the engine counted. Of decode, only the steps in which
/// every sequence drew one token.
struct PhaseRun {
    double seconds = 0;
    std::uint64_t tokens_asked = 0, tokens_computed = 0, tokens_generated = 0, rows_scored = 0;
    std::uint64_t steps = 0;
    double keys = 0;  ///< decode: (row, key) pairs
};

/// The least work of a run on one replica, in closed form: every distinct token once, weights once
/// per step, keys and values once per sequence and step.
struct PhaseWork {
    double tokens = 0;  ///< what tokens/s counts: asked by mmlu-like, else computed
    double flops = 0;   ///< the output head for scored rows only
    double bytes = 0;
};

/// Tokens that must fit the model's positions, and KV tokens that the phases need.
std::int64_t longest_sequence(const BenchConfig& bench);
std::int64_t kv_tokens_for(const BenchConfig& bench);

/// Run number `run` of `phase`; other runs have other tokens. `profile`, if any, is what the
/// model's backend adds to; on return it holds the counted steps. Collective over the group.
PhaseRun run_phase(const std::string& phase, const BenchConfig& bench, Engine& engine,
                   std::int64_t vocab_size, std::int64_t run, Profile* profile);

PhaseWork work_of(const std::string& phase, const BenchConfig& bench, const ModelConfig& model,
                  const PhaseRun& run);

/// "2 × 512 tokens", for tables.
std::string describe_phase(const std::string& phase, const BenchConfig& bench);

}  // namespace muster
