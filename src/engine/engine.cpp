// The step loop. Every decision depends on the requests and the options alone, and on tokens that
// every rank of the group computes alike, so the ranks stay together without talking.

#include "muster/engine/engine.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "inputs.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "page_pool.h"
#include "scheduler.h"
#include "step.h"

namespace muster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kHeadRows = 512;                        // of one call to Model::score
constexpr std::size_t kLogitElements = std::size_t{1} << 24;  // of one call to Model::logits

std::int32_t checked_pages(const EngineOptions& options) {
    if (options.max_step_rows < 1 || options.kv_tokens < 1) {
        throw UserError(cat("engine: got ", options.max_step_rows, " rows per step and ",
                            options.kv_tokens, " KV tokens, expected at least 1 of each"));
    }
    const std::int64_t pages = pages_for_tokens(options.kv_tokens);
    if (pages > std::numeric_limits<std::int32_t>::max()) {
        throw UserError(
            cat("engine: ", options.kv_tokens, " KV tokens are more than can be counted"));
    }
    return static_cast<std::int32_t>(pages);
}

/// Calls `head(begin, end)` for [begin, end) in pieces of at most `block`.
template <typename Head>
void in_blocks(std::size_t begin, std::size_t end, std::size_t block, const Head& head) {
    for (; begin < end; begin += block) head(begin, std::min(begin + block, end));
}

}  // namespace

struct Engine::State {
    State(Model& its_model, const Tokenizer& its_tokenizer, const EngineOptions& its_options)
        : model(its_model),
          tokenizer(its_tokenizer),
          options(its_options),
          kv(model.make_kv_cache(checked_pages(options))) {}

    void check_budget(const std::vector<Request>& requests) const;
    void run_step(const Step& step, const std::vector<Request>& requests);
    void score_rows(const Tensor& hidden, std::span<const OutputRow> rows,
                    const std::vector<Request>& requests);
    void sample_rows(const Tensor& hidden, std::span<const OutputRow> rows);
    void accept(Generation& generation, std::int32_t token);
    /// Adds the time since `since` to the counters and moves it on.
    void count_time(Clock::time_point& since);

    Model& model;
    const Tokenizer& tokenizer;
    EngineOptions options;
    KvCache kv;
    EngineCounters counters;
    // Reused from block to block.
    std::vector<LogitTarget> targets;
    std::vector<RowScore> row_scores;
    std::vector<float> target_logits, logits;
};

void Engine::State::check_budget(const std::vector<Request>& requests) const {
    for (const Request& request : requests) {
        const std::int64_t tokens = kv_tokens_needed(request), pages = pages_for_tokens(tokens);
        if (pages <= kv.num_pages) continue;
        throw UserError(cat("kv_tokens: request ", request.id, " needs ", tokens, " tokens (",
                            pages, " pages of ", kKvPageTokens, "), got ", options.kv_tokens, " (",
                            kv.num_pages, " pages); expected at least ", pages * kKvPageTokens));
    }
}

void Engine::State::run_step(const Step& step, const std::vector<Request>& requests) {
    const Tensor hidden = model.forward(step.batch, kv);
    const auto hidden_rows = [&](std::size_t begin, std::size_t end) {
        return hidden.row_range(static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end));
    };
    const std::span<const OutputRow> outputs(step.outputs);
    const auto vocab = static_cast<std::size_t>(model.config().vocab_size);
    in_blocks(0, step.num_scored, kHeadRows, [&](std::size_t begin, std::size_t end) {
        score_rows(hidden_rows(begin, end), outputs.subspan(begin, end - begin), requests);
    });
    in_blocks(step.num_scored, outputs.size(), std::max<std::size_t>(1, kLogitElements / vocab),
              [&](std::size_t begin, std::size_t end) {
                  sample_rows(hidden_rows(begin, end), outputs.subspan(begin, end - begin));
              });
    ++counters.steps;
    counters.tokens_computed += step.batch.tokens.size();
    counters.rows_scored += outputs.size();
}

void Engine::State::score_rows(const Tensor& hidden, std::span<const OutputRow> rows,
                               const std::vector<Request>& requests) {
    targets.clear();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        rows[i].input->append_targets(rows[i].position, static_cast<std::int32_t>(i), requests,
                                      targets);
    }
    model.score(hidden, targets, row_scores, target_logits);
    if (row_scores.size() != rows.size() || target_logits.size() != targets.size()) {
        throw InternalError(cat("engine: the model scored ", row_scores.size(), " rows and ",
                                target_logits.size(), " targets, expected ", rows.size(), " and ",
                                targets.size()));
    }
    for (std::size_t t = 0; t < targets.size(); ++t) {
        const auto row = static_cast<std::size_t>(targets[t].row);
        rows[row].input->add_score(row_scores[row], targets[t], target_logits[t]);
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i].input->generation) accept(*rows[i].input->generation, row_scores[i].argmax);
    }
}

void Engine::State::sample_rows(const Tensor& hidden, std::span<const OutputRow> rows) {
    const auto vocab = static_cast<std::size_t>(model.config().vocab_size);
    model.logits(hidden, logits);
    if (logits.size() != rows.size() * vocab) {
        throw InternalError(cat("engine: the model gave ", logits.size(), " logits, expected ",
                                rows.size(), " rows of ", vocab));
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        Generation& generation = *rows[i].input->generation;
        accept(generation, generation.choose(std::span(logits).subspan(i * vocab, vocab)));
    }
}

void Engine::State::accept(Generation& generation, std::int32_t token) {
    generation.accept(token);
    ++counters.tokens_generated;
}

void Engine::State::count_time(Clock::time_point& since) {
    const Clock::time_point now = Clock::now();
    counters.seconds += std::chrono::duration<double>(now - since).count();
    since = now;
}

Engine::Engine(Model& model, const Tokenizer& tokenizer, const EngineOptions& options)
    : state_(std::make_unique<State>(model, tokenizer, options)) {}

Engine::~Engine() = default;

const EngineCounters& Engine::counters() const {
    return state_->counters;
}

std::vector<Completion> Engine::run(const std::vector<Request>& requests,
                                    const StepCallback& on_step) {
    State& state = *state_;
    Clock::time_point since = Clock::now();
    check_requests(requests, state.model.config().vocab_size);
    state.check_budget(requests);

    std::vector<Completion> completions(requests.size());
    std::vector<Input> inputs =
        make_inputs(requests, state.tokenizer, state.options.merge_equal_inputs);
    // A generation of no tokens is finished before it starts.
    std::erase_if(inputs, [&](const Input& input) {
        const bool done = input.generation && input.generation->finished();
        if (done) input.complete(requests, completions);
        return done;
    });
    std::vector<Scheduler::Length> lengths;
    for (const Input& input : inputs) {
        lengths.push_back({static_cast<std::int64_t>(input.tokens.size()), input.at_most});
        state.counters.tokens_asked += input.tokens.size() * input.requests.size();
    }

    PagePool pool(state.kv.num_pages);
    Scheduler scheduler(lengths, state.options.max_step_rows, pool);
    for (auto slices = scheduler.next_step(); !slices.empty(); slices = scheduler.next_step()) {
        state.run_step(pack_step(slices, scheduler, inputs), requests);
        for (const Scheduler::Slice& slice : slices) {
            const Input& input = inputs[slice.sequence];
            if (!scheduler.caught_up(slice.sequence)) continue;
            if (input.generation && !input.generation->finished()) {
                scheduler.extend(slice.sequence);
            } else {
                input.complete(requests, completions);
                scheduler.finish(slice.sequence);
            }
        }
        state.count_time(since);
        if (on_step) on_step(state.counters);
        since = Clock::now();  // what on_step does is not the engine's time
    }
    return completions;
}

}  // namespace muster
