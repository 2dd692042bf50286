// Scheduling, paging, merging, sampling and stopping against a plain loop over a fake model whose
// logits depend on every token that its KV pages hold.

#include "muster/engine/engine.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "byte_tokenizer.h"
#include "expected.h"
#include "fake_model.h"
#include "muster/base/error.h"
#include "numbers.h"
#include "sampler.h"

using namespace muster;
using namespace muster::test;

namespace {

Request score_request(std::vector<std::int32_t> tokens, std::int32_t first_scored) {
    Request request;
    request.tokens = std::move(tokens);
    request.first_scored = first_scored;
    return request;
}

/// Scores that share inputs and prefixes, whole-document scores, and generations of every kind.
std::vector<Request> mixed_requests() {
    Numbers numbers;
    std::vector<Request> requests;
    for (int document = 0; document < 20; ++document) {
        const auto context = numbers.tokens(1 + numbers.below(180), kFakeVocab);
        const auto size = static_cast<std::int32_t>(context.size());
        for (std::int32_t choice = 0; choice < 4; ++choice) {
            auto tokens = context;
            for (std::int32_t t = document % 3; t > 0; --t)
                tokens.push_back(numbers.below(kFakeVocab));
            tokens.push_back(choice);
            requests.push_back(score_request(tokens, choice == 3 && size > 1 ? 1 : size));
        }
        Request generate;
        generate.kind = Request::Kind::generate;
        generate.tokens = context;
        generate.max_new_tokens = numbers.below(90);
        generate.stop_ids = {kEos};
        if (document % 2) generate.stop_strings = {"\n", "Q:", "é"};
        if (document % 4 == 1) generate.sampling.repetition_penalty = 1.5;
        if (document % 4 == 2) {
            generate.sampling = {
                .temperature = 0.9, .top_k = 40, .top_p = 0.95, .min_p = 0.01, .seed = 3};
        }
        if (document % 4 == 3) generate.sampling = {.temperature = 1.1, .top_p = 0.9, .seed = 3};
        if (document % 8 == 7) generate.sampling = {.temperature = 0.7, .seed = 3};
        generate.sample_key = static_cast<std::uint64_t>(document);
        for (generate.repeat = 0; generate.repeat < 2; ++generate.repeat)
            requests.push_back(generate);
    }
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i].id = 1000 + i;
    return requests;
}

void check_same(const Completion& got, const Completion& expected) {
    CHECK(got.id == expected.id);
    CHECK(got.token_logprobs == expected.token_logprobs);
    CHECK(got.log_likelihood == expected.log_likelihood);
    CHECK(got.is_greedy == expected.is_greedy);
    CHECK(got.tokens == expected.tokens);
    CHECK(got.text == expected.text);
    CHECK(got.finish == expected.finish);
}

}  // namespace

namespace {

/// Documents of a task with a long common beginning: choices of several tokens, and generations.
std::vector<Request> few_shot_requests() {
    Numbers numbers(17);
    std::vector<Request> requests;
    for (int task = 0; task < 3; ++task) {
        const auto shots = numbers.tokens(100 + 40 * task, kFakeVocab);
        for (int document = 0; document < 12; ++document) {
            auto context = shots;
            const auto question = numbers.tokens(1 + numbers.below(60), kFakeVocab);
            context.insert(context.end(), question.begin(), question.end());
            const auto size = static_cast<std::int32_t>(context.size());
            for (std::int32_t choice = 0; choice < 4; ++choice) {
                auto tokens = context;
                const auto answer = numbers.tokens(1 + numbers.below(9), 4);
                tokens.insert(tokens.end(), answer.begin(), answer.end());
                requests.push_back(score_request(tokens, size));
            }
            if (task != 1) continue;
            Request generate;
            generate.kind = Request::Kind::generate;
            generate.tokens = context;
            generate.max_new_tokens = 1 + numbers.below(30);
            if (document % 2) generate.sampling = {.temperature = 1, .seed = 5};
            for (generate.repeat = 0; generate.repeat < 3; ++generate.repeat) {
                // All of them draw from one row, some by its best logits.
                if (document % 4 == 3 && generate.repeat > 0)
                    generate.sampling = {.temperature = generate.repeat * 0.7, .top_p = 0.8};
                requests.push_back(generate);
            }
        }
    }
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i].id = i;
    return requests;
}

std::vector<Completion> expected_completions(const std::vector<Request>& requests,
                                             const Tokenizer& tokenizer, RopeType rope) {
    std::vector<Completion> expected;
    for (const Request& request : requests)
        expected.push_back(expected_completion(request, tokenizer, rope));
    return expected;
}

/// Runs `requests` in calls of at most `chunk` and compares.
void check_run(Engine& engine, const std::vector<Request>& requests,
               const std::vector<Completion>& expected, std::size_t chunk) {
    for (std::size_t begin = 0; begin < requests.size(); begin += chunk) {
        const std::size_t end = std::min(begin + chunk, requests.size());
        const auto got = engine.run({requests.begin() + static_cast<std::ptrdiff_t>(begin),
                                     requests.begin() + static_cast<std::ptrdiff_t>(end)},
                                    {});
        REQUIRE(got.size() == end - begin);
        for (std::size_t i = begin; i < end; ++i) check_same(got[i - begin], expected[i]);
    }
}

}  // namespace

TEST_CASE(
    "completions are those of each request alone, whatever the steps, pages, order and reuse") {
    const Tokenizer tokenizer = byte_tokenizer();
    std::vector<Request> requests = mixed_requests();
    for (const RopeType rope : {RopeType::standard, RopeType::dynamic}) {
        CAPTURE(rope);
        std::vector<Completion> expected = expected_completions(requests, tokenizer, rope);
        int stopped = 0;
        for (const Completion& completion : expected)
            stopped += completion.finish == FinishReason::stop_string;
        REQUIRE(stopped > 3);
        for (const bool reuse : {true, false}) {
            for (const std::int64_t rows : {1, 7, 64, 512, 4096}) {
                for (const std::int64_t kv_tokens : {320, 1000, 100000}) {
                    CAPTURE(reuse);
                    CAPTURE(rows);
                    CAPTURE(kv_tokens);
                    std::reverse(requests.begin(), requests.end());
                    std::reverse(expected.begin(), expected.end());
                    FakeModel model(rows, rope);
                    Engine engine(
                        model, tokenizer,
                        {.max_step_rows = rows, .kv_tokens = kv_tokens, .prefix_reuse = reuse});
                    check_run(engine, requests, expected, requests.size());
                    CHECK(model.largest_step <= rows);
                    if (rows == 512 && kv_tokens > 2000) CHECK(model.most_sequences > 4);
                    const EngineCounters& counters = engine.counters();
                    if (reuse)
                        CHECK(counters.tokens_computed < counters.tokens_asked);
                    else
                        CHECK(counters.tokens_computed == counters.tokens_asked);
                }
            }
        }
    }
}

TEST_CASE("calls share what they begin with, and no result depends on it") {
    const Tokenizer tokenizer = byte_tokenizer();
    const std::vector<Request> requests = few_shot_requests();
    for (const RopeType rope : {RopeType::standard, RopeType::dynamic}) {
        const auto expected = expected_completions(requests, tokenizer, rope);
        for (const std::size_t chunk : {1u, 3u, 7u, 50u, 1000u}) {
            for (const std::int64_t kv_tokens : {320, 512, 900, 20000}) {
                for (const std::int64_t rows : {5, 100, 1000}) {
                    CAPTURE(rope);
                    CAPTURE(chunk);
                    CAPTURE(kv_tokens);
                    CAPTURE(rows);
                    FakeModel model(rows, rope);
                    Engine engine(model, tokenizer,
                                  {.max_step_rows = rows, .kv_tokens = kv_tokens});
                    check_run(engine, requests, expected, chunk);
                    // Again, from whatever the first round left.
                    check_run(engine, requests, expected, chunk + 1);
                }
            }
        }
    }
}

TEST_CASE("each token of the trie is computed once, within a call and over calls") {
    const Tokenizer tokenizer = byte_tokenizer();
    std::vector<Request> requests = few_shot_requests();
    std::erase_if(requests,
                  [](const Request& request) { return request.kind == Request::Kind::generate; });
    std::set<std::vector<std::int32_t>> prefixes;
    std::uint64_t asked = 0;
    for (const Request& request : requests) {
        asked += request.tokens.size() - 1;
        for (std::size_t size = 1; size < request.tokens.size(); ++size)
            prefixes.emplace(request.tokens.begin(),
                             request.tokens.begin() + static_cast<std::ptrdiff_t>(size));
    }
    for (const std::size_t chunk : {requests.size(), std::size_t{8}, std::size_t{4}}) {
        CAPTURE(chunk);
        FakeModel model(256);
        Engine engine(model, tokenizer, {.max_step_rows = 256, .kv_tokens = 100000});
        check_run(engine, requests, expected_completions(requests, tokenizer, RopeType::standard),
                  chunk);
        CHECK(engine.counters().tokens_asked == asked);
        // The next call finds what its first document shares with the last one of this call; what
        // it shares with others only, a token or two by chance, is computed again.
        const std::uint64_t again = chunk == requests.size() ? 0 : 5;
        CHECK(engine.counters().tokens_computed >= prefixes.size());
        CHECK(engine.counters().tokens_computed <= prefixes.size() + again);
    }
    // Results without reuse are the same; the work is not.
    FakeModel model(256);
    Engine engine(model, tokenizer,
                  {.max_step_rows = 256, .kv_tokens = 100000, .prefix_reuse = false});
    engine.run(requests, {});
    CHECK(engine.counters().tokens_computed == asked);
    CHECK(asked > 5 * prefixes.size());
    CHECK(model.pages_copied == 0);
}

TEST_CASE("an engine runs again and counts on") {
    const Tokenizer tokenizer = byte_tokenizer();
    FakeModel model(16);
    Engine engine(model, tokenizer, {.max_step_rows = 16, .kv_tokens = 128});
    const std::vector<Request> requests = {score_request(Numbers().tokens(20, kFakeVocab), 5)};
    const auto first = engine.run(requests, {});
    CHECK(engine.counters().steps() == 2);
    CHECK(engine.counters().tokens_computed == 19);
    const auto second = engine.run(requests, {});
    check_same(second[0], first[0]);
    CHECK(engine.counters().steps() == 3);
    CHECK(engine.counters().tokens_computed == 19 + 15);  // rows that are scored come again
    CHECK(engine.run({}, {}).empty());
    CHECK(engine.counters().steps() == 3);
}

TEST_CASE("equal inputs are computed once and only scored rows go to the head") {
    const Tokenizer tokenizer = byte_tokenizer();
    const auto input = Numbers().tokens(30, kFakeVocab);
    std::vector<Request> requests;
    for (std::int32_t choice = 0; choice < 4; ++choice) {
        auto tokens = input;
        tokens.push_back(choice);
        requests.push_back(score_request(tokens, 30));
    }
    requests.push_back(requests.front());
    requests.back().first_scored = 28;

    FakeModel model(512);
    Engine merged(model, tokenizer, {.max_step_rows = 512, .kv_tokens = 512});
    std::vector<std::uint64_t> steps_seen;
    merged.run(requests,
               [&](const EngineCounters& counters) { steps_seen.push_back(counters.steps()); });
    CHECK(merged.counters().tokens_asked == 150);
    CHECK(merged.counters().tokens_computed == 30);
    CHECK(merged.counters().rows_scored == 3);
    CHECK(merged.counters().tokens_generated == 0);
    CHECK(merged.counters().seconds() > 0);
    CHECK(steps_seen == std::vector<std::uint64_t>{1});
    CHECK(model.full_logit_rows == 0);

    Engine single(model, tokenizer,
                  {.max_step_rows = 512, .kv_tokens = 512, .prefix_reuse = false});
    single.run(requests, {});
    CHECK(single.counters().tokens_asked == 150);
    CHECK(single.counters().tokens_computed == 150);
    CHECK(single.counters().rows_scored == 7);
}

TEST_CASE("steps are counted by phase: with tokens of inputs, or generated ones only") {
    const Tokenizer tokenizer = byte_tokenizer();
    Request request;
    request.kind = Request::Kind::generate;
    request.tokens = Numbers().tokens(100, kFakeVocab);
    request.max_new_tokens = 5;
    FakeModel model(64);
    Engine engine(model, tokenizer, {.max_step_rows = 64, .kv_tokens = 512});
    engine.run({request, request}, {});
    const EngineCounters& counters = engine.counters();
    CHECK(counters.prefill.steps == 2);
    CHECK(counters.prefill.tokens == 100);
    CHECK(counters.decode.steps == 4);
    CHECK(counters.decode.tokens == 8);
    CHECK(counters.decode.seconds > 0);
    CHECK(counters.tokens_computed == 108);
    CHECK(counters.tokens_asked == 208);
    CHECK(counters.tokens_generated == 10);
    CHECK(counters.rows_scored == 9);
    CHECK(model.pages_copied == 2);
}

TEST_CASE("logits of whole rows go to the host only where the best ones do not tell") {
    const Tokenizer tokenizer = byte_tokenizer();
    Request request;
    request.kind = Request::Kind::generate;
    request.tokens = Numbers().tokens(10, kFakeVocab);
    request.max_new_tokens = 12;
    struct Rows {
        std::int64_t best, all;
        bool operator==(const Rows&) const = default;
    };
    const auto rows = [&](const SamplingOptions& sampling) {
        request.sampling = sampling;
        FakeModel model(64);
        Engine engine(model, tokenizer, {.max_step_rows = 64, .kv_tokens = 64});
        const auto completion = engine.run({request}, {}).at(0);
        CHECK(completion.tokens.size() == 12);
        const EngineCounters& counters = engine.counters();
        CHECK(counters.tokens_generated == 12);
        CHECK(counters.tokens_asked == 21);
        CHECK(counters.tokens_computed == 21);
        CHECK(counters.rows_scored == 12);
        const bool argmax = sampling.greedy() && sampling.repetition_penalty == 1;
        CHECK(counters.rows_sampled == (argmax ? 0 : 12));
        CHECK(counters.rows_of_logits == static_cast<std::uint64_t>(model.full_logit_rows));
        CHECK(model.draws == (by_temperature_alone(sampling) ? 12 : 0));
        return Rows{model.candidate_rows, model.full_logit_rows};
    };
    CHECK(rows({.temperature = 0, .top_k = 5, .top_p = 0.5}) == Rows{0, 0});
    CHECK(rows({.repetition_penalty = 1.1}) == Rows{12, 0});
    CHECK(rows({.repetition_penalty = 0.9}) == Rows{0, 12});
    CHECK(rows({.temperature = 0.5}) == Rows{0, 0});  // the model draws
    CHECK(rows({.temperature = 0.5, .repetition_penalty = 1.1}) == Rows{0, 12});
    CHECK(rows({.temperature = 0.8, .top_k = 20, .top_p = 0.95}) == Rows{12, 0});
    CHECK(rows({.temperature = 0.8, .top_k = 20, .repetition_penalty = 1.1}) == Rows{12, 0});
    CHECK(rows({.temperature = 0.8, .top_p = 0.9, .repetition_penalty = 1.1}) == Rows{0, 12});
    CHECK(rows({.temperature = 0.8, .top_p = 0.9}) == Rows{12, 0});
    CHECK(rows({.temperature = 0.8, .min_p = 0.1}) == Rows{12, 0});
    // 256 of 258 tokens hold less than this.
    CHECK(rows({.temperature = 100, .top_p = 0.999}) == Rows{12, 12});
}

TEST_CASE("what falls back to all logits depends on the row, not on its neighbours") {
    const Tokenizer tokenizer = byte_tokenizer();
    Numbers numbers(5);
    std::vector<Request> requests;
    for (int i = 0; i < 40; ++i) {
        Request request;
        request.kind = Request::Kind::generate;
        request.tokens = numbers.tokens(5 + numbers.below(30), kFakeVocab);
        request.max_new_tokens = 20;
        request.sampling = {.temperature = 0.6 + 0.3 * (i % 3), .top_k = 1 + i % 5 * 5, .seed = 9};
        if (i % 4 == 1) request.sampling = {.temperature = 3, .top_p = 0.995};
        request.sample_key = static_cast<std::uint64_t>(i);
        request.id = static_cast<std::uint64_t>(i);
        requests.push_back(request);
    }
    const auto expected = expected_completions(requests, tokenizer, RopeType::standard);
    std::vector<std::uint64_t> fallen_back;
    for (const std::size_t chunk : {std::size_t{1}, std::size_t{7}, requests.size()}) {
        FakeModel model(100);
        Engine engine(model, tokenizer, {.max_step_rows = 100, .kv_tokens = 4000});
        check_run(engine, requests, expected, chunk);
        CHECK(engine.counters().rows_sampled == 800);
        fallen_back.push_back(engine.counters().rows_of_logits);
    }
    CHECK(fallen_back[0] > 0);
    CHECK(fallen_back[0] < 800);
    CHECK(fallen_back[1] == fallen_back[0]);
    CHECK(fallen_back[2] == fallen_back[0]);
}

TEST_CASE("a budget that cannot hold the longest request is the user's to mend") {
    const Tokenizer tokenizer = byte_tokenizer();
    FakeModel model(64);
    Engine engine(model, tokenizer, {.max_step_rows = 64, .kv_tokens = 100});
    Request request = score_request(Numbers().tokens(130, kFakeVocab), 1);
    request.id = 17;
    try {
        engine.run({request}, {});
        FAIL("expected a UserError");
    } catch (const UserError& error) {
        CHECK(std::string(error.what()) ==
              "kv_tokens: request 17 needs 129 tokens (3 pages of 64), got 100 (2 pages); expected "
              "at least 192");
    }
    request.tokens.pop_back();
    request.tokens.pop_back();
    CHECK(engine.run({request}, {}).at(0).token_logprobs.size() == 127);
    CHECK_THROWS_AS(Engine(model, tokenizer, {.max_step_rows = 64, .kv_tokens = 0}), UserError);
    CHECK_THROWS_AS(Engine(model, tokenizer, {.max_step_rows = 0, .kv_tokens = 64}), UserError);
}

TEST_CASE("requests that no caller should make are bugs") {
    const Tokenizer tokenizer = byte_tokenizer();
    FakeModel model(64);
    Engine engine(model, tokenizer, {.max_step_rows = 64, .kv_tokens = 100});
    const auto refused = [&](const Request& request) {
        CHECK_THROWS_AS(engine.run({request}, {}), InternalError);
    };
    refused(score_request({1}, 1));
    refused(score_request({1, 2}, 0));
    refused(score_request({1, 2}, 2));
    refused(score_request({1, kFakeVocab}, 1));
    refused(score_request({-1, 1}, 1));
    Request generate;
    generate.kind = Request::Kind::generate;
    refused(generate);
    generate.tokens = {1};
    generate.max_new_tokens = -1;
    refused(generate);
    generate.max_new_tokens = 1;
    for (const SamplingOptions& sampling :
         {SamplingOptions{.top_k = -1}, SamplingOptions{.top_p = 1.5},
          SamplingOptions{.min_p = -0.1}, SamplingOptions{.repetition_penalty = 0},
          SamplingOptions{.temperature = std::nan("")}}) {
        generate.sampling = sampling;
        refused(generate);
    }
}
