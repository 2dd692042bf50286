#include "sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "muster/base/file.h"
#include "muster/config/parse.h"

using namespace muster;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<std::int32_t> ids_of(const std::vector<Candidate>& candidates) {
    std::vector<std::int32_t> ids;
    for (const Candidate& candidate : candidates) ids.push_back(candidate.token);
    return ids;
}

double real_or(const Value& object, const char* key, double fallback) {
    const Value* value = object.find(key);
    return value ? value->as_real() : fallback;
}

}  // namespace

// Made by scripts/golden/sampler_filters.py with transformers 5.23.0.
TEST_CASE("penalty and filters leave what Hugging Face's processors leave") {
    const std::string path =
        std::string(MUSTER_SOURCE_DIR) + "/tests/golden/engine/sampler_filters.json";
    const Value golden = parse_json(read_file(path), path);
    const auto& cases = golden.find("cases")->as_array();
    REQUIRE(cases.size() == 30);
    for (const Value& item : cases) {
        const Value& options = *item.find("options");
        CAPTURE(to_json(options));
        std::vector<float> logits;
        for (const Value& x : item.find("logits")->as_array())
            logits.push_back(static_cast<float>(x.as_real()));
        std::vector<std::int32_t> prompt;
        for (const Value& x : item.find("prompt")->as_array()) {
            const auto id = static_cast<std::int32_t>(x.as_integer());
            if (std::find(prompt.begin(), prompt.end(), id) == prompt.end()) prompt.push_back(id);
        }
        penalize_repetition(logits, prompt, real_or(options, "repetition_penalty", 1));
        const auto candidates = filter_candidates(
            logits, {.temperature = real_or(options, "temperature", 1),
                     .top_k = static_cast<std::int64_t>(real_or(options, "top_k", 0)),
                     .top_p = real_or(options, "top_p", 1),
                     .min_p = real_or(options, "min_p", 0)});
        double total = 0;
        for (const Candidate& candidate : candidates) total += candidate.weight;
        const auto& kept = item.find("kept")->as_array();
        const auto& probabilities = item.find("probabilities")->as_array();
        REQUIRE(candidates.size() == kept.size());
        for (std::size_t i = 0; i < kept.size(); ++i) {
            CHECK(candidates[i].token == kept[i].as_integer());
            // Hugging Face's scores are float32: relative error 6e-8 of scores up to 12.
            CHECK(candidates[i].weight / total ==
                  doctest::Approx(probabilities[i].as_real()).epsilon(2e-6));
        }
    }
}

TEST_CASE("ties: top-k keeps them all, top-p takes lower ids first, argmax the lowest") {
    const std::vector<float> logits = {0, 2, 1, 2, 1, 1};
    CHECK(argmax(logits) == 1);
    CHECK(ids_of(filter_candidates(logits, {.temperature = 1, .top_k = 3})) ==
          std::vector<std::int32_t>{1, 2, 3, 4, 5});
    // e² each for 1 and 3, e each for 2, 4 and 5, 1 for 0: 1 and 3 hold 61 % and one more is needed
    // for 70 %.
    CHECK(ids_of(filter_candidates(logits, {.temperature = 1, .top_p = 0.7})) ==
          std::vector<std::int32_t>{1, 2, 3});
    CHECK(ids_of(filter_candidates(logits, {.temperature = 1, .top_p = 0})) ==
          std::vector<std::int32_t>{1});
    CHECK(ids_of(filter_candidates(logits, {.temperature = 1, .min_p = 1})) ==
          std::vector<std::int32_t>{1, 3});
}

TEST_CASE("the repetition penalty passes over ids outside the vocabulary") {
    std::vector<float> logits = {2, -2, 1};
    penalize_repetition(logits, std::vector<std::int32_t>{0, 1, 3, -1}, 2);
    CHECK(logits == std::vector<float>{1, -4, 1});
}

TEST_CASE("broken logits still give a token of the vocabulary") {
    const std::vector<std::vector<float>> rows = {
        {kNan, kNan, kNan},        {kNan, 1, kNan},    {-kInfinity, -kInfinity},
        {kInfinity, 1, kInfinity}, {kNan, -kInfinity}, {1e38f, -1e38f}};
    for (const auto& logits : rows) {
        for (const double temperature : {1e-300, 1e-3, 1.0, 1e300}) {
            for (const double filter : {0.0, 0.5, 1.0}) {
                const auto candidates = filter_candidates(
                    logits,
                    {.temperature = temperature, .top_k = 2, .top_p = filter, .min_p = filter});
                REQUIRE(!candidates.empty());
                const std::int32_t token = draw(candidates, {.seed = 1});
                CHECK((token >= 0 && token < static_cast<std::int32_t>(logits.size())));
            }
        }
        CHECK(argmax(logits) < static_cast<std::int32_t>(logits.size()));
    }
    CHECK(argmax(rows[1]) == 1);
    CHECK(filter_candidates(rows[1], {.temperature = 1}).at(1).token == 1);
}

TEST_CASE("draws follow the weights and depend on every part of the key") {
    const std::vector<Candidate> candidates = {{3, 1.0}, {5, 0.5}, {9, 0.5}};
    int counts[10] = {};
    constexpr int kDraws = 20000;
    for (int i = 0; i < kDraws; ++i) {
        ++counts[draw(candidates, {.seed = 5, .sample_key = static_cast<std::uint64_t>(i)})];
    }
    // Five standard deviations: √(n p (1 − p)) is 71 and 61.
    CHECK(std::abs(counts[3] - kDraws / 2) < 355);
    CHECK(std::abs(counts[5] - kDraws / 4) < 305);
    CHECK(counts[3] + counts[5] + counts[9] == kDraws);

    const auto run = [&](DrawKey key) {
        std::vector<std::int32_t> tokens;
        for (; key.position < 64; ++key.position) tokens.push_back(draw(candidates, key));
        return tokens;
    };
    const auto base = run({.seed = 1, .sample_key = 2, .repeat = 3});
    CHECK(base == run({.seed = 1, .sample_key = 2, .repeat = 3}));
    CHECK(base != run({.seed = 9, .sample_key = 2, .repeat = 3}));
    CHECK(base != run({.seed = 1, .sample_key = 9, .repeat = 3}));
    CHECK(base != run({.seed = 1, .sample_key = 2, .repeat = 9}));
    CHECK(base != run({.seed = 1 + (std::uint64_t{1} << 32), .sample_key = 2, .repeat = 3}));
    CHECK(base != run({.seed = 1, .sample_key = 2 + (std::uint64_t{1} << 32), .repeat = 3}));
}

TEST_CASE("portable_exp agrees with the library's") {
    for (double x = -745; x <= 0; x += 0.0371) {
        const double expected = std::exp(x);
        if (expected < 1e-300) {
            CHECK(std::abs(portable_exp(x) - expected) <= 1e-315);
        } else {
            CHECK(std::abs(portable_exp(x) / expected - 1) <= 4.5e-16);
        }
    }
    CHECK(portable_exp(0) == 1);
    CHECK(portable_exp(-kInfinity) == 0);
    CHECK(portable_exp(-800) == 0);
}
