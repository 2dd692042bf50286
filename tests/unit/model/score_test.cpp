// Model::score against log-sum-exp and argmax of Model::logits.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "model_test.h"

using namespace muster;

TEST_CASE("score agrees with the full logits") {
    const unsigned seed = std::random_device{}();
    MESSAGE("seed ", seed);
    std::mt19937 random(seed);
    for (const char* name : {"llama-biases", "llama-bf16-sharded", "llama-f16", "mistral-window"}) {
        CAPTURE(name);
        TestModel test(std::string(MUSTER_SOURCE_DIR) + "/tests/golden/models/" + name);
        std::vector<std::int32_t> ids(37), pages = {3};
        for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % 61);
        StepBatch batch;
        batch.tokens = ids;
        batch.sequences.push_back({0, 37, 0, pages});
        batch.output_rows = {0, 3, 4, 36};
        const Tensor hidden = test.model->forward(batch, test.kv);
        REQUIRE(hidden.shape() == Shape{4, test.model->config().hidden_size});
        CHECK(hidden.dtype() == test.model->config().dtype);

        std::vector<LogitTarget> targets;
        for (int i = 0; i < 20; ++i)
            targets.push_back({static_cast<std::int32_t>(random() % 4),
                               static_cast<std::int32_t>(random() % 61)});
        targets.push_back({0, 60});
        std::vector<RowScore> rows;
        std::vector<float> values, logits;
        test.model->score(hidden, targets, rows, values);
        test.model->logits(hidden, logits);

        REQUIRE(logits.size() == 4 * 61);
        REQUIRE(rows.size() == 4);
        for (std::size_t row = 0; row < 4; ++row) {
            const float* of_row = logits.data() + row * 61;
            double sum = 0;
            for (int i = 0; i < 61; ++i) sum += std::exp(static_cast<double>(of_row[i]));
            CHECK(rows[row].log_sum_exp == doctest::Approx(std::log(sum)).epsilon(1e-6));
            CHECK(rows[row].argmax == std::max_element(of_row, of_row + 61) - of_row);
        }
        for (std::size_t i = 0; i < targets.size(); ++i) {
            CHECK(values[i] ==
                  logits[static_cast<std::size_t>(targets[i].row * 61 + targets[i].token)]);
        }
    }
}
