#pragma once
// Requests in, completions out. All ranks of a tensor-parallel group run the same engine on the
// same requests and take the same decisions without talking about them. Results never depend on
// which requests share a call, on the step size or on the KV budget.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "muster/engine/request.h"
#include "muster/model/model.h"
#include "muster/text/tokenizer.h"

namespace muster {

struct EngineOptions {
    std::int64_t max_step_rows = 512;  ///< packed tokens of one step
    std::int64_t kv_tokens =
        0;  ///< KV budget in tokens, rounded up to whole pages; at least one longest request
    bool prefix_reuse = true;  ///< compute what requests begin with in common once, within a call
                               ///< and from one call to the next; false: every request alone
};

/// Steps of one kind.
struct EnginePhase {
    std::uint64_t steps = 0, tokens = 0;
    double seconds = 0;  ///< inside run(), step callbacks not included
};

struct EngineCounters {
    std::uint64_t tokens_asked = 0;      ///< what tokens_computed would be without any reuse
    std::uint64_t tokens_computed = 0;   ///< rows that went through the decoder
    std::uint64_t tokens_generated = 0;  ///< drawn, stop ids included
    std::uint64_t rows_scored = 0;       ///< rows that went through the output head
    std::uint64_t rows_sampled = 0;      ///< rows that tokens were drawn from, argmax aside
    std::uint64_t rows_of_logits = 0;    ///< of these, rows whose best logits did not tell: all
                                         ///< their logits went to the host
    EnginePhase prefill;                 ///< steps with tokens of inputs, others among them
    EnginePhase decode;                  ///< steps of generated tokens only
    std::uint64_t steps() const { return prefill.steps + decode.steps; }
    double seconds() const { return prefill.seconds + decode.seconds; }
};

class Engine {
 public:
    /// Allocates the KV cache. `model` and `tokenizer` must outlive the engine. Throws UserError
    /// for options below 1.
    Engine(Model& model, const Tokenizer& tokenizer, const EngineOptions& options);
    ~Engine();

    /// Called between steps with the counters so far; may do other work, must not take long.
    using StepCallback = std::function<void(const EngineCounters&)>;

    /// Completions in the order of `requests`, which should have those with common beginnings side
    /// by side: what the last one begins with is there for the next call. Throws UserError if
    /// kv_tokens cannot hold the longest of them, InternalError for requests that make no sense.
    /// Collective over the tensor-parallel group.
    std::vector<Completion> run(const std::vector<Request>& requests, const StepCallback& on_step);

    const EngineCounters& counters() const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

/// KV tokens that a request may need: input plus the tokens it may generate.
std::int64_t kv_tokens_needed(const Request& request);

}  // namespace muster
