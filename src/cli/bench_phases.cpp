#include "cli/bench_phases.h"

#include <algorithm>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

/// Tokens that look random and are the same on every rank. Sequences of one run differ in their
/// first token as far as the vocabulary allows, so that they share nothing; those of other runs
/// begin elsewhere, since the engine remembers.
class TokenSource {
 public:
    TokenSource(std::int64_t vocab_size, const std::string& phase, std::int64_t run)
        : vocab_(static_cast<std::uint64_t>(vocab_size)), state_(static_cast<std::uint64_t>(run)) {
        for (const char c : phase) state_ = (state_ + static_cast<unsigned char>(c)) * kFactor;
        start_ = state_ >> 33;
    }

    void append(std::vector<std::int32_t>& tokens, std::int64_t count, std::int64_t sequence) {
        for (std::int64_t i = 0; i < count; ++i) {
            state_ = state_ * kFactor + 1442695040888963407u;
            const std::uint64_t token =
                i == 0 ? start_ + static_cast<std::uint64_t>(sequence) : state_ >> 33;
            tokens.push_back(static_cast<std::int32_t>(token % vocab_));
        }
    }

 private:
    static constexpr std::uint64_t kFactor = 6364136223846793005u;

    std::uint64_t vocab_, state_, start_ = 0;
};

Request score_request(std::vector<std::int32_t> tokens, std::int64_t first_scored) {
    Request request;
    request.tokens = std::move(tokens);
    request.first_scored = static_cast<std::int32_t>(first_scored);
    return request;
}

std::vector<Request> sequences(const BenchConfig& bench, TokenSource source, bool score_all) {
    std::vector<Request> requests;
    for (std::int64_t i = 0; i < bench.batch; ++i) {
        std::vector<std::int32_t> tokens;
        source.append(tokens, bench.prompt_tokens + 1, i);
        requests.push_back(score_request(std::move(tokens), score_all ? 1 : bench.prompt_tokens));
    }
    return requests;
}

std::vector<Request> generations(const BenchConfig& bench, TokenSource source) {
    std::vector<Request> requests;
    for (std::int64_t i = 0; i < bench.batch; ++i) {
        Request request;
        request.kind = Request::Kind::generate;
        source.append(request.tokens, bench.context_tokens, i);
        request.max_new_tokens = static_cast<std::int32_t>(bench.new_tokens);
        if (bench.top_k > 0 || bench.sample)
            request.sampling = {.temperature = 1, .top_k = bench.top_k};
        request.sample_key = static_cast<std::uint64_t>(i);
        requests.push_back(std::move(request));
    }
    return requests;
}

std::vector<Request> multiple_choice(const BenchConfig& bench, TokenSource source) {
    std::vector<Request> requests;
    std::vector<std::int32_t> prefix;
    source.append(prefix, kPrefixTokens, 0);
    for (std::int64_t question = 0; question < bench.questions; ++question) {
        std::vector<std::int32_t> prompt = prefix;
        source.append(prompt, kQuestionTokens, question);
        for (std::int64_t choice = 0; choice < kChoices; ++choice) {
            std::vector<std::int32_t> tokens = prompt;
            source.append(tokens, 1, choice);
            requests.push_back(score_request(std::move(tokens), kPrefixTokens + kQuestionTokens));
        }
    }
    return requests;
}

std::vector<Request> requests_of(const std::string& phase, const BenchConfig& bench,
                                 const TokenSource& source) {
    std::vector<Request> requests = phase == "decode" ? generations(bench, source)
                                    : phase == "mmlu-like"
                                        ? multiple_choice(bench, source)
                                        : sequences(bench, source, phase == "score");
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i].id = i;
    return requests;
}

PhaseRun difference(const EngineCounters& a, const EngineCounters& b) {
    return {b.seconds() - a.seconds(),
            b.tokens_asked - a.tokens_asked,
            b.tokens_computed - a.tokens_computed,
            b.tokens_generated - a.tokens_generated,
            b.rows_scored - a.rows_scored,
            b.steps() - a.steps(),
            0};
}

/// The steps of a run in which all of `batch` sequences draw one token each.
class DecodeSteps {
 public:
    DecodeSteps(const BenchConfig& bench, const EngineCounters& start, Profile* profile)
        : batch_(static_cast<std::uint64_t>(bench.batch)),
          prompts_(static_cast<double>(bench.batch * bench.context_tokens)),
          start_(start),
          last_(start),
          profile_(profile) {}

    void add(const EngineCounters& now) {
        const PhaseRun step = difference(last_, now);
        if (step.tokens_computed == batch_ && step.tokens_generated == batch_) {
            sum_.seconds += step.seconds;
            sum_.tokens_asked += batch_;
            sum_.tokens_computed += batch_;
            sum_.tokens_generated += batch_;
            sum_.rows_scored += step.rows_scored;
            sum_.steps += 1;
            // A sequence's row is its newest token, which sees the prompt and all generated ones.
            sum_.keys +=
                prompts_ + static_cast<double>(last_.tokens_generated - start_.tokens_generated);
            if (profile_) kept_.add(*profile_);
        }
        if (profile_) *profile_ = {};
        last_ = now;
    }
    PhaseRun finish() {
        if (sum_.steps == 0)
            throw UserError(cat("--new: in no step did all ", batch_,
                                " sequences decode; raise it or --step-tokens"));
        if (profile_) *profile_ = std::move(kept_);
        return sum_;
    }

 private:
    std::uint64_t batch_;
    double prompts_;
    EngineCounters start_, last_;
    PhaseRun sum_;
    Profile* profile_;
    Profile kept_;
};

std::int64_t whole_pages(std::int64_t tokens) {
    return (tokens + kKvPageTokens - 1) / kKvPageTokens * kKvPageTokens;
}

bool has(const BenchConfig& bench, const char* phase) {
    return std::find(bench.phases.begin(), bench.phases.end(), phase) != bench.phases.end();
}

}  // namespace

std::vector<std::string> phase_names() {
    return {"prefill", "score", "decode", "mmlu-like"};
}

std::int64_t longest_sequence(const BenchConfig& bench) {
    std::int64_t longest = 1;
    if (has(bench, "prefill") || has(bench, "score"))
        longest = std::max(longest, bench.prompt_tokens);
    if (has(bench, "decode")) longest = std::max(longest, bench.context_tokens + bench.new_tokens);
    if (has(bench, "mmlu-like")) longest = std::max(longest, kPrefixTokens + kQuestionTokens);
    return longest;
}

std::int64_t kv_tokens_for(const BenchConfig& bench) {
    std::int64_t tokens = kKvPageTokens;
    if (has(bench, "prefill") || has(bench, "score"))
        tokens = std::max(tokens, largest_batch(bench) * whole_pages(bench.prompt_tokens));
    if (has(bench, "decode"))
        tokens = std::max(
            tokens, largest_batch(bench) * whole_pages(bench.context_tokens + bench.new_tokens));
    // The prefix once; a question starts inside a page of its own copy.
    if (has(bench, "mmlu-like"))
        tokens =
            std::max(tokens, whole_pages(kPrefixTokens) +
                                 bench.questions * whole_pages(kQuestionTokens + kKvPageTokens));
    return tokens;
}

PhaseRun run_phase(const std::string& phase, const BenchConfig& bench, Engine& engine,
                   std::int64_t vocab_size, std::int64_t run, Profile* profile) {
    const std::vector<Request> requests =
        requests_of(phase, bench, TokenSource(vocab_size, phase, run));
    const EngineCounters before = engine.counters();
    if (profile) *profile = {};
    if (phase == "decode") {
        DecodeSteps steps(bench, before, profile);
        engine.run(requests, [&](const EngineCounters& now) { steps.add(now); });
        return steps.finish();
    }
    engine.run(requests, {});
    return difference(before, engine.counters());
}

std::string describe_phase(const std::string& phase, const BenchConfig& bench) {
    if (phase == "decode")
        return cat(bench.batch, " × ", bench.new_tokens, " new at ", bench.context_tokens,
                   bench.top_k > 0 ? cat(", top ", bench.top_k)
                   : bench.sample  ? ", sampled"
                                   : "");
    if (phase == "mmlu-like") return cat(bench.questions, " questions, asked");
    return cat(bench.batch, " × ", bench.prompt_tokens, phase == "score" ? ", all scored" : "");
}

}  // namespace muster
