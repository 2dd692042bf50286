// One decoder on 1, 2 and 4 tensor-parallel ranks: the same bits as on one rank.

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
    REQUIRE(compared > 0);
}
