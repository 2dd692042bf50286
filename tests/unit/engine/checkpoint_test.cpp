// On real decoders: the same bits for every step size, KV budget, prefix reuse, order and number of
// threads.

#include <doctest/doctest.h>

#include <algorithm>

#include "byte_tokenizer.h"
#include "checkpoint_run.h"

using namespace muster;
using namespace muster::test;

TEST_CASE("completions have the same bits however the work is cut") {
    const Tokenizer tokenizer = byte_tokenizer();
    const Communicator self = Communicator::self();
    const auto directories = golden_models();
    REQUIRE(!directories.empty());
    for (const std::string& directory : directories) {
        CAPTURE(directory);
        const ModelConfig config = ModelConfig::load(directory, "");
        auto requests = sample_requests(config.vocab_size, config.max_positions);
        const auto packed = [&](int threads, const EngineOptions& options) {
            auto completions =
                run_checkpoint(directory, threads, self, tokenizer, options, requests);
            std::sort(completions.begin(), completions.end(),
                      [](const auto& a, const auto& b) { return a.id < b.id; });
            return pack_completions(completions);
        };
        const std::string expected = packed(1, {.max_step_rows = 4096, .kv_tokens = 20000});
        CHECK(expected == packed(1, {.max_step_rows = 7, .kv_tokens = 192}));
        CHECK(expected == packed(2, {.max_step_rows = 64, .kv_tokens = 500}));
        CHECK(expected ==
              packed(2, {.max_step_rows = 512, .kv_tokens = 20000, .prefix_reuse = false}));
        std::reverse(requests.begin(), requests.end());
        CHECK(expected == packed(1, {.max_step_rows = 64, .kv_tokens = 20000}));
        // In calls that begin with what earlier ones left.
        const auto behind_shots = few_shot_requests(config.vocab_size, config.max_positions);
        const auto alone_behind_shots = pack_completions(run_checkpoint(
            directory, 1, self, tokenizer,
            {.max_step_rows = 512, .kv_tokens = 20000, .prefix_reuse = false}, behind_shots));
        for (const std::int64_t kv_tokens : {320, 20000}) {
            LoadedModel shared(directory, 1, self, 100);
            Engine calls(*shared, tokenizer, {.max_step_rows = 100, .kv_tokens = kv_tokens});
            for (const std::size_t chunk : {4u, 1u, 9u}) {
                CHECK(alone_behind_shots ==
                      pack_completions(run_in_calls(calls, behind_shots, chunk)));
            }
            CHECK(calls.counters().tokens_computed < calls.counters().tokens_asked);
        }
        // Each request alone.
        LoadedModel model(directory, 1, self, 512);
        Engine engine(*model, tokenizer, {.max_step_rows = 512, .kv_tokens = 192});
        std::vector<Completion> alone;
        std::reverse(requests.begin(), requests.end());
        for (const Request& request : requests) alone.push_back(engine.run({request}, {}).at(0));
        CHECK(expected == pack_completions(alone));
    }
}
