// The step loop. Every decision depends on the requests and the options alone, and on tokens that
// every rank of the group computes alike, so the ranks stay together without talking.

#include "muster/engine/engine.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "check_requests.h"
#include "kept_pages.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "page_pool.h"
#include "row_sampler.h"
#include "scheduler.h"
#include "sequences.h"
#include "step.h"
#include "token_trie.h"

namespace muster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kHeadRows = 512;  // of one call to Model::score

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

/// Calls `head(begin, end)` for the rows to be scored, in neighbours of at most kHeadRows.
template <typename Head>
void for_scored(std::span<const OutputRow> rows, const Head& head) {
    for (std::size_t begin = 0; begin < rows.size();) {
        std::size_t end = begin;
        while (end < rows.size() && end - begin < kHeadRows && rows[end].score) ++end;
        if (end > begin) head(begin, end);
        begin = std::max(end, begin + 1);
    }
}

std::vector<Branch> branches_of(const TokenTrie& trie) {
    std::vector<Branch> branches;
    branches.reserve(trie.nodes.size());
    for (const TrieNode& node : trie.nodes) {
        branches.push_back({.parent = node.parent,
                            .begin = node.begin,
                            .known = node.known,
                            .end = node.end,
                            .at_most = node.at_most,
                            .open = node.generation.has_value()});
    }
    return branches;
}

/// One call of Engine::run on its way.
struct Run {
    Run(const std::vector<Request>& its_requests, const TokenTrie& its_trie,
        const Tokenizer& tokenizer)
        : requests(its_requests),
          trie(its_trie),
          sequences(trie, requests, tokenizer),
          completions(requests.size()) {}

    const std::vector<Request>& requests;
    const TokenTrie& trie;
    Sequences sequences;
    std::vector<Completion> completions;
    std::vector<std::int32_t> drawn;  ///< nodes whose generation got a token in this step
};

}  // namespace

struct Engine::State {
    State(Model& its_model, const Tokenizer& its_tokenizer, const EngineOptions& its_options)
        : model(its_model),
          tokenizer(its_tokenizer),
          options(its_options),
          kv(model.make_kv_cache(checked_pages(options))),
          pool(kv.num_pages),
          kept(pool),
          sampler(model) {}

    void check_budget(const std::vector<Request>& requests) const;
    TokenTrie make_trie(const std::vector<Request>& requests) const;
    void run_step(const Step& step, Run& run);
    void score_rows(const Tensor& hidden, std::span<const OutputRow> rows, Run& run);
    void accept(std::int32_t node, std::int32_t token, Run& run);
    /// Writes the completions of what the step ended, and tells the scheduler of generations.
    void conclude_step(const std::vector<Scheduler::Slice>& slices, Scheduler& scheduler, Run& run);
    /// Remembers whose pages are kept.
    void remember(const std::vector<Request>& requests, const TokenTrie& trie);

    Model& model;
    const Tokenizer& tokenizer;
    EngineOptions options;
    KvCache kv;
    PagePool pool;
    KeptPages kept;
    std::vector<std::int32_t> kept_tokens;  ///< whose keys and values the kept pages hold
    std::int64_t kept_length = 0;           ///< TrieNode::length of their node
    EngineCounters counters;
    RowSampler sampler;
    // Reused from block to block.
    std::vector<LogitTarget> targets;
    std::vector<RowScore> row_scores;
    std::vector<float> target_logits;
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

TokenTrie Engine::State::make_trie(const std::vector<Request>& requests) const {
    return muster::make_trie(requests, {.share = options.prefix_reuse,
                                        .by_length = model.config().rope.type == RopeType::dynamic,
                                        .num_pages = kv.num_pages,
                                        .known = {kept_tokens, kept_length}});
}

void Engine::State::run_step(const Step& step, Run& run) {
    const Tensor hidden = model.forward(step.batch, kv);
    const std::span<const OutputRow> outputs(step.outputs);
    for_scored(outputs, [&](std::size_t begin, std::size_t end) {
        score_rows(
            hidden.row_range(static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end)),
            outputs.subspan(begin, end - begin), run);
    });
    sampler.sample(hidden, outputs, run.sequences,
                   [&](std::int32_t node, std::int32_t token) { accept(node, token, run); });
    counters.rows_sampled = sampler.rows();
    counters.rows_of_logits = sampler.rows_of_logits();
    counters.tokens_asked += step.num_decoded;
    counters.tokens_computed += step.batch.tokens.size();
    counters.rows_scored += outputs.size();
}

void Engine::State::score_rows(const Tensor& hidden, std::span<const OutputRow> rows, Run& run) {
    targets.clear();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        run.sequences.append_targets(rows[i].node, rows[i].position, static_cast<std::int32_t>(i),
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
        run.sequences.add_score(rows[row].node, row_scores[row], targets[t], target_logits[t]);
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        for (const std::int32_t node : run.sequences.drawers(rows[i].node, rows[i].position)) {
            if (!run.sequences.generation(node).needs_logits())
                accept(node, row_scores[i].argmax, run);
        }
    }
}

void Engine::State::accept(std::int32_t node, std::int32_t token, Run& run) {
    run.sequences.generation(node).accept(token);
    run.drawn.push_back(node);
    ++counters.tokens_generated;
}

void Engine::State::conclude_step(const std::vector<Scheduler::Slice>& slices, Scheduler& scheduler,
                                  Run& run) {
    for (const Scheduler::Slice& slice : slices) {
        const TrieNode& node = run.sequences.node(slice.branch);
        if (slice.first_position >= node.end || slice.first_position + slice.num_rows < node.end)
            continue;
        for (const std::size_t request : node.scores)
            run.completions[request] = run.sequences.score(request, slice.branch);
    }
    for (const std::int32_t id : run.drawn) {
        const Generation& generation = run.sequences.generation(id);
        if (generation.finished()) {
            run.completions[*run.sequences.node(id).generation] = generation.completion();
            scheduler.finish(id);
        } else {
            scheduler.extend(id);
        }
    }
    run.drawn.clear();
}

void Engine::State::remember(const std::vector<Request>& requests, const TokenTrie& trie) {
    if (!options.prefix_reuse || trie.last < 0) return;
    const TrieNode& node = trie.nodes[static_cast<std::size_t>(trie.last)];
    const auto tokens = fed_tokens(requests[node.source]).first(static_cast<std::size_t>(node.end));
    kept_tokens.assign(tokens.begin(), tokens.end());
    kept_tokens.resize(static_cast<std::size_t>(kept.num_tokens()));
    kept_length = node.length;
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

    const TokenTrie trie = state.make_trie(requests);
    Run run(requests, trie, state.tokenizer);
    for (std::size_t i = 0; i < requests.size(); ++i) {
        if (is_fed(requests[i])) {
            state.counters.tokens_asked += fed_tokens(requests[i]).size();
        } else {
            run.completions[i] = Generation(requests[i], state.tokenizer).completion();
        }
    }
    const std::vector<Branch> branches = branches_of(trie);
    Scheduler scheduler(branches, state.options.max_step_rows, state.pool, state.kept,
                        state.options.prefix_reuse ? trie.last : -1);
    for (auto planned = scheduler.next_step(); !planned.slices.empty();
         planned = scheduler.next_step()) {
        const Step step = pack_step(planned.slices, scheduler, run.sequences);
        if (!planned.copies.empty()) state.model.copy_kv_pages(state.kv, planned.copies);
        state.run_step(step, run);
        state.conclude_step(planned.slices, scheduler, run);

        const std::uint64_t rows = step.batch.tokens.size();
        EnginePhase& phase =
            step.num_decoded == rows ? state.counters.decode : state.counters.prefill;
        ++phase.steps;
        phase.tokens += rows;
        phase.seconds += std::chrono::duration<double>(Clock::now() - since).count();
        if (on_step) on_step(state.counters);
        since = Clock::now();  // what on_step does is not the engine's time
    }
    state.remember(requests, trie);
    return std::move(run.completions);
}

}  // namespace muster
