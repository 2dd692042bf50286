// The same bits for every tensor-parallel degree: each group computes what one rank computes alone.

#include <cstring>
#include <random>

#include "mpi_test.h"
#include "muster/base/error.h"
#include "unit/model/model_test.h"
#include "unit/model/random_checkpoint.h"

using namespace muster;

namespace {

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// A seed that all ranks share.
unsigned common_seed() {
    const auto seed =
        static_cast<unsigned>(test_world().max(static_cast<std::int64_t>(std::random_device{}())));
    MESSAGE("seed ", seed);
    return seed;
}

struct Outcome {
    std::vector<float> logits, targets;
    std::vector<double> log_sums, totals;
    std::vector<TopLogit> best;
    std::vector<std::int32_t> argmax, drawn;
};

/// Logits, then scores, of one packed step of three sequences.
Outcome compute(const std::string& directory, Communicator group, unsigned seed) {
    TestModel test(directory, "", 1 + test_world().rank() % 2, std::move(group));
    const auto vocab = static_cast<unsigned>(test.model->config().vocab_size);
    std::mt19937 random(seed);
    std::vector<std::vector<std::int32_t>> sequences = {
        std::vector<std::int32_t>(9), std::vector<std::int32_t>(70), std::vector<std::int32_t>(1)};
    for (auto& sequence : sequences) {
        for (std::int32_t& id : sequence) id = static_cast<std::int32_t>(random() % vocab);
    }
    Outcome outcome;
    outcome.logits = test.logits(sequences);

    StepBatch batch;
    const std::vector<std::int32_t> pages = {7, 1};
    batch.tokens = sequences[1];
    batch.sequences.push_back({0, 70, 0, pages});
    batch.lengths = {70};
    for (std::int32_t row = 0; row < 70; row += 3) batch.output_rows.push_back(row);
    std::vector<LogitTarget> targets;
    for (int i = 0; i < 40; ++i) {
        targets.push_back({static_cast<std::int32_t>(random() % batch.output_rows.size()),
                           static_cast<std::int32_t>(random() % vocab)});
    }
    std::vector<RowScore> rows;
    const Tensor hidden = test.model->forward(batch, test.kv);
    test.model->score(hidden, targets, rows, outcome.targets);
    RowCandidates candidates;
    std::vector<float> inverse;
    for (std::size_t i = 0; i < batch.output_rows.size(); ++i)
        inverse.push_back(0.5f + static_cast<float>(i) / 10);
    test.model->candidates(hidden, 40, inverse, candidates);
    outcome.best = candidates.best;
    outcome.totals = candidates.totals;
    std::vector<TokenDraw> draws;
    for (std::size_t i = 0; i < 200; ++i)
        draws.push_back({static_cast<std::int32_t>(i * batch.output_rows.size() / 200),
                         0.5f + static_cast<float>(i % 7) / 4,
                         static_cast<double>(random()) / 0x1p32,
                         static_cast<double>(random()) / 0x1p32});
    test.model->draw(hidden, draws, outcome.drawn);
    for (const RowScore& row : rows) {
        outcome.log_sums.push_back(row.log_sum_exp);
        outcome.argmax.push_back(row.argmax);
    }
    return outcome;
}

/// Compares every legal degree that fits the world with one rank alone. Ranks outside full groups
/// compute nothing.
void check_degrees(const std::string& directory) {
    const unsigned seed = common_seed();
    const Outcome alone = compute(directory, Communicator::self(), seed);
    REQUIRE(alone.logits.size() ==
            80 * static_cast<std::size_t>(ModelConfig::load(directory, "").vocab_size));
    for (const int tp : {2, 4}) {
        if (tp > test_world().size()) continue;
        CAPTURE(tp);
        const int group = test_world().rank() / tp;
        const bool full = (group + 1) * tp <= test_world().size();
        std::optional<Communicator> members =
            test_world().split(full ? group : -1, test_world().rank());
        if (!members) continue;
        const Outcome together = compute(directory, std::move(*members), seed);
        CHECK(same_bits(together.logits, alone.logits));
        CHECK(same_bits(together.targets, alone.targets));
        CHECK(together.log_sums == alone.log_sums);
        CHECK(together.argmax == alone.argmax);
        CHECK(together.totals == alone.totals);
        CHECK(together.drawn == alone.drawn);
        REQUIRE(together.best.size() == alone.best.size());
        CHECK(std::memcmp(together.best.data(), alone.best.data(),
                          alone.best.size() * sizeof(TopLogit)) == 0);
    }
}

}  // namespace

TEST_CASE("golden checkpoints: the same bits for tp = 1, 2, 4") {
    for (const char* name :
         {"llama-gqa-tied", "llama-biases", "llama-one-kv-head", "llama-rope-dynamic",
          "llama-bf16-sharded", "llama-f16", "mistral-window", "qwen2-upper-window", "qwen2-bf16",
          "qwen3-listed-windows", "qwen3-bf16-biases", "mixtral", "mixtral-stacked", "qwen3-moe",
          "qwen3-moe-bf16"}) {
        CAPTURE(name);
        check_degrees(std::string(MUSTER_SOURCE_DIR) + "/tests/golden/models/" + name);
    }
}

TEST_CASE("random checkpoints of odd shapes: the same bits for tp = 1, 2, 4") {
    const unsigned seed = common_seed();
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
        RandomCheckpoint odd;
        odd.dtype = dtype;
        odd.biases = dtype == DType::f16;
        odd.seed = seed;
        odd.write();
        check_degrees(odd.directory);
    }
    RandomCheckpoint mixture;
    mixture.experts = 7;
    mixture.dtype = DType::bf16;
    mixture.seed = seed;
    mixture.write();
    check_degrees(mixture.directory);
    RandomCheckpoint few;  // four virtual shards, two key-value heads: replicated for tp = 4
    few.heads = 4;
    few.kv_heads = 2;
    few.intermediate = 100;
    few.vocab = 1000;
    few.tied = true;
    few.seed = seed;
    few.write();
    check_degrees(few.directory);
}

TEST_CASE("a degree that the model does not allow is refused on every rank") {
    RandomCheckpoint odd;
    odd.heads = 6;
    odd.kv_heads = 3;
    odd.write();
    const ModelConfig config = ModelConfig::load(odd.directory, "");
    CHECK(legal_tp_degrees(config) == std::vector<int>{1});
    if (test_world().size() > 1)
        CHECK_THROWS_AS(TestModel(odd.directory, "", 1, test_world().duplicate()), UserError);
}
