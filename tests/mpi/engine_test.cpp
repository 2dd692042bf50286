// One decoder on 1, 2 and 4 tensor-parallel ranks, and requests dealt out to ranks: the same bits
// as on one rank.

#include "muster/engine/engine.h"

#include "mpi_test.h"
#include "unit/engine/byte_tokenizer.h"
#include "unit/engine/checkpoint_run.h"

using namespace muster;
using namespace muster::test;

TEST_CASE("completions have the same bits for every tensor-parallel degree") {
    const Tokenizer tokenizer = byte_tokenizer();
    const Communicator self = Communicator::self();
    int compared = 0;
    for (const std::string& directory : golden_models()) {
        CAPTURE(directory);
        const ModelConfig config = ModelConfig::load(directory, "");
        bool legal = false;
        for (const int degree : legal_tp_degrees(config))
            legal = legal || degree == test_world().size();
        if (!legal) continue;
        ++compared;
        const auto requests = sample_requests(config.vocab_size, config.max_positions);
        const EngineOptions options{.max_step_rows = 64, .kv_tokens = 1000};
        const auto alone = run_checkpoint(directory, 1, self, tokenizer, options, requests);
        const auto together =
            run_checkpoint(directory, 1, test_world(), tokenizer, options, requests);
        CHECK(pack_completions(together) == pack_completions(alone));
    }
    const bool power_of_two = (test_world().size() & (test_world().size() - 1)) == 0;
    CHECK((compared > 0) == power_of_two);
}

TEST_CASE("completions have the same bits whichever rank computes them, after whatever others") {
    const Tokenizer tokenizer = byte_tokenizer();
    const Communicator self = Communicator::self();
    const auto rank = static_cast<std::size_t>(test_world().rank()),
               size = static_cast<std::size_t>(test_world().size());
    for (const std::string& directory : golden_models()) {
        CAPTURE(directory);
        const ModelConfig config = ModelConfig::load(directory, "");
        const auto requests = few_shot_requests(config.vocab_size, config.max_positions);
        const auto alone = run_checkpoint(
            directory, 1, self, tokenizer,
            {.max_step_rows = 64, .kv_tokens = 1000, .prefix_reuse = false}, requests);
        // Chunks of four are dealt out in turn; every rank's engine remembers its own.
        LoadedModel model(directory, 1, self, 64);
        Engine engine(*model, tokenizer,
                      {.max_step_rows = 64, .kv_tokens = 400 + 100 * test_world().rank()});
        std::vector<Request> mine;
        for (std::size_t i = 0; i < requests.size(); ++i)
            if (i / 4 % size == rank) mine.push_back(requests[i]);
        const auto parts = test_world().gather(pack_completions(run_in_calls(engine, mine, 4)));
        std::vector<Completion> together(requests.size());
        for (const std::string& part : parts)
            for (Completion& completion : unpack_completions(part))
                together.at(completion.id) = std::move(completion);
        if (rank == 0) CHECK(pack_completions(together) == pack_completions(alone));
    }
}
