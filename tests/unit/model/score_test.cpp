// Model::score, Model::candidates and Model::draw against Model::logits.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "model_test.h"
#include "random_checkpoint.h"

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
        test.model->logits(hidden, std::vector<std::int32_t>{0, 1, 2, 3}, logits);

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

TEST_CASE(
    "candidates are the best of the full logits, and logits are those of the rows asked for") {
    RandomCheckpoint checkpoint;
    checkpoint.vocab = 777;
    checkpoint.write();
    TestModel test(checkpoint.directory);
    const std::vector<std::int32_t> pages = {3};
    StepBatch batch;
    for (std::int32_t i = 0; i < 40; ++i) {
        batch.tokens.push_back(i * 19);
        batch.output_rows.push_back(i);
    }
    batch.sequences.push_back({0, 40, 0, pages});
    batch.lengths = {40};
    const Tensor hidden = test.model->forward(batch, test.kv);
    std::vector<float> logits, some, inverse;
    test.model->logits(hidden, batch.output_rows, logits);
    REQUIRE(logits.size() == 40 * 777);
    const std::vector<std::int32_t> rows = {39, 2, 2, 17, 18};
    test.model->logits(hidden, rows, some);
    REQUIRE(some.size() == rows.size() * 777);
    for (std::size_t i = 0; i < rows.size(); ++i)
        CHECK(std::equal(some.begin() + static_cast<std::ptrdiff_t>(i) * 777,
                         some.begin() + static_cast<std::ptrdiff_t>(i + 1) * 777,
                         logits.begin() + rows[i] * 777));

    for (int row = 0; row < 40; ++row) inverse.push_back(0.1f * static_cast<float>(1 + row));
    for (const int count : {1, 50, 256}) {
        RowCandidates found;
        test.model->candidates(hidden, count, inverse, found);
        REQUIRE(found.best.size() == static_cast<std::size_t>(40 * count));
        REQUIRE(found.totals.size() == 40);
        for (std::size_t row = 0; row < 40; ++row) {
            const float* of_row = logits.data() + row * 777;
            std::vector<std::int32_t> order(777);
            std::iota(order.begin(), order.end(), 0);
            std::stable_sort(order.begin(), order.end(),
                             [&](auto a, auto b) { return of_row[a] > of_row[b]; });
            for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
                const TopLogit& item = found.best[row * static_cast<std::size_t>(count) + i];
                CHECK(item.token == order[i]);
                CHECK(item.logit == of_row[order[i]]);
            }
            double total = 0;
            for (int i = 0; i < 777; ++i)
                total += std::exp((static_cast<double>(of_row[i]) - of_row[order[0]]) *
                                  static_cast<double>(inverse[row]));
            CHECK(found.totals[row] == doctest::Approx(total).epsilon(1e-6));
        }
    }
}

TEST_CASE("tokens are drawn as often as the full logits say") {
    RandomCheckpoint checkpoint;
    checkpoint.vocab = 777;
    checkpoint.write();
    TestModel test(checkpoint.directory);
    const std::vector<std::int32_t> pages = {3};
    StepBatch batch;
    for (std::int32_t i = 0; i < 5; ++i) batch.tokens.push_back(i * 19);
    batch.output_rows = {1, 4};
    batch.sequences.push_back({0, 5, 0, pages});
    batch.lengths = {5};
    const Tensor hidden = test.model->forward(batch, test.kv);
    std::vector<float> logits;
    test.model->logits(hidden, std::vector<std::int32_t>{0, 1}, logits);
    std::mt19937 random(5);
    const auto uniform = [&] { return static_cast<double>(random()) * 0x1p-32; };
    constexpr std::size_t kDraws = 40000;
    const float inverse[2] = {1, 0.3f};
    std::vector<TokenDraw> draws;
    for (std::size_t i = 0; i < 2 * kDraws; ++i) {
        const auto row = static_cast<std::int32_t>(i / kDraws);
        const double block = uniform(), token = uniform();
        draws.push_back({row, inverse[row], block, token});
    }
    std::vector<std::int32_t> tokens;
    test.model->draw(hidden, draws, tokens);
    REQUIRE(tokens.size() == draws.size());
    for (std::size_t row = 0; row < 2; ++row) {
        const float* of_row = logits.data() + row * 777;
        std::vector<double> weights, counts(777, 0);
        double total = 0;
        for (int i = 0; i < 777; ++i)
            total += weights.emplace_back(
                std::exp(static_cast<double>(of_row[i]) * static_cast<double>(inverse[row])));
        for (std::size_t i = row * kDraws; i < (row + 1) * kDraws; ++i)
            ++counts[static_cast<std::size_t>(tokens[i])];
        // Five standard deviations, and some for what is rare.
        for (std::size_t i = 0; i < 777; ++i) {
            const double expected = weights[i] / total * kDraws;
            CHECK(std::abs(counts[i] - expected) <= 5 * std::sqrt(expected) + 5);
        }
    }
}
