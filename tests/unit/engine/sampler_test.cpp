#include "sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

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

namespace {

/// A row of one of several kinds; some are small, some full of ties, some broken.
std::vector<float> random_row(std::mt19937& random) {
    const auto below = [&](std::uint32_t end) { return random() % end; };
    const std::uint32_t sizes[] = {1, 5, 200, 256, 257, 300, 2000};
    std::vector<float> row(sizes[below(7)]);
    const float spreads[] = {0, 1e-3f, 0.3f, 3, 30};
    std::normal_distribution<float> normal(0, 1);
    const float spread = spreads[below(5)];
    for (float& logit : row) logit = normal(random) * spread;
    if (below(3) == 0)  // ties
        for (float& logit : row) logit = std::round(logit * 2) / 2;
    if (below(3) == 0)  // a few stand out
        for (std::uint32_t i = below(30); i > 0; --i) row[below(random.max()) % row.size()] += 8;
    if (below(4) == 0)
        for (float& logit : row)
            if (below(3) == 0) logit = -kInfinity;
    if (below(6) == 0) row[below(1000) % row.size()] = kNan;
    if (below(20) == 0) row[below(1000) % row.size()] = kInfinity;
    return row;
}

SamplingOptions random_options(std::mt19937& random) {
    const auto pick = [&](std::initializer_list<double> values) {
        return values.begin()[random() % values.size()];
    };
    SamplingOptions options;
    options.temperature = pick({1e-300, 1e-6, 0.1, 0.7, 1, 1, 1.3, 100, 1e300});
    options.top_k = static_cast<std::int64_t>(pick({0, 0, 1, 2, 20, 50, 239, 255, 256, 1000}));
    options.top_p = pick({0, 0.1, 0.5, 0.9, 0.95, 0.999, 1, 1});
    options.min_p = pick({0, 0, 1e-4, 0.05, 0.5, 1});
    options.repetition_penalty = pick({1, 1, 1, 1.05, 1.3, 5, 0.9});
    options.seed = random();
    return options;
}

/// What a model gives of a row. The total is off in its last bits, as another order of additions
/// would make it.
std::vector<TopLogit> best_of(const std::vector<float>& row, int count) {
    std::vector<TopLogit> best;
    for (std::size_t i = 0; i < row.size(); ++i)
        best.push_back({std::isnan(row[i]) ? -kInfinity : row[i], static_cast<std::int32_t>(i)});
    std::stable_sort(best.begin(), best.end(),
                     [](const auto& a, const auto& b) { return a.logit > b.logit; });
    best.resize(static_cast<std::size_t>(count), {-kInfinity, -1});
    return best;
}
double total_of(const std::vector<float>& row, float inverse_temperature) {
    const double max = best_of(row, 1)[0].logit;
    double total = 0;
    for (const float logit : row) {
        const double number = std::isnan(logit) ? -kInfinity : logit;
        total +=
            number == max ? 1 : static_cast<float>(std::exp((number - max) * inverse_temperature));
    }
    return total;
}

/// Which tokens of a row have been seen: few, or nearly all of the best.
std::vector<bool> random_seen(std::mt19937& random, const std::vector<float>& row) {
    std::vector<bool> seen(row.size() - random() % row.size(), false);
    const std::uint32_t share = 2 + random() % 30;
    for (std::size_t i = 0; i < seen.size(); ++i) seen[i] = random() % share == 0;
    if (random() % 2)
        for (const TopLogit& item : best_of(row, static_cast<int>(random() % 100)))
            if (item.token >= 0 && static_cast<std::size_t>(item.token) < seen.size())
                seen[static_cast<std::size_t>(item.token)] = true;
    return seen;
}

/// All logits of a row after the penalty.
std::vector<float> penalized_logits(std::vector<float> row, const std::vector<bool>& seen,
                                    double penalty) {
    std::vector<std::int32_t> tokens;
    for (std::size_t i = 0; i < seen.size(); ++i)
        if (seen[i]) tokens.push_back(static_cast<std::int32_t>(i));
    if (penalty != 1) penalize_repetition(row, tokens, penalty);
    return row;
}

}  // namespace

TEST_CASE("the best logits of a row leave what all of them leave, or say that they do not tell") {
    const unsigned seed = std::random_device{}();
    MESSAGE("seed ", seed);
    std::mt19937 random(seed);
    int asked = 0, told = 0, told_by[2][3] = {};
    for (int round = 0; round < 20000; ++round) {
        const std::vector<float> row = random_row(random);
        const SamplingOptions options = random_options(random);
        const int wanted = best_logits_wanted(options);
        if (wanted == 0) {
            CHECK((options.repetition_penalty < 1 || options.top_k >= kMaxTopLogits ||
                   (options.top_k == 0 && options.top_p == 1 && options.min_p == 0) ||
                   (options.top_k == 0 && options.top_p < 1 && options.repetition_penalty > 1)));
            continue;
        }
        REQUIRE(wanted <= kMaxTopLogits);
        ++asked;
        const double total = total_of(row, inverse_temperature(options));
        const std::vector<bool> seen = random_seen(random, row);
        const auto best = filter_best(
            penalized_row(best_of(row, wanted), seen, options.repetition_penalty), total, options);
        if (!best) continue;
        ++told;
        ++told_by[options.repetition_penalty > 1][options.top_k > 0   ? 0
                                                  : options.top_p < 1 ? 1
                                                                      : 2];
        const auto all = filter_candidates(penalized_logits(row, seen, options.repetition_penalty),
                                           options, total);
        CAPTURE(options.repetition_penalty);
        CAPTURE(options.temperature);
        CAPTURE(options.top_k);
        CAPTURE(options.top_p);
        CAPTURE(options.min_p);
        REQUIRE(ids_of(*best) == ids_of(all));
        for (std::size_t i = 0; i < all.size(); ++i) CHECK((*best)[i].weight == all[i].weight);
        const DrawKey key{.seed = options.seed, .position = static_cast<std::uint32_t>(round)};
        CHECK(draw(*best, key) == draw(all, key));
    }
    CHECK(told > asked / 3);
    CHECK(told < asked);
    for (const int count : told_by[0]) CHECK(count > 100);
    CHECK(told_by[1][0] > 100);
    CHECK(told_by[1][2] > 50);
}

TEST_CASE("the best logits of a row give the token that is greedy after the penalty") {
    const unsigned seed = std::random_device{}();
    MESSAGE("seed ", seed);
    std::mt19937 random(seed);
    int told = 0, changed = 0;
    constexpr int kRows = 20000;
    for (int i = 0; i < kRows; ++i) {
        const std::vector<float> row = random_row(random);
        const std::vector<bool> seen = random_seen(random, row);
        SamplingOptions options;
        options.repetition_penalty = std::vector{1.01, 1.05, 1.3, 5.0, 1e6}[random() % 5];
        const int wanted = best_logits_wanted(options);
        REQUIRE(wanted > 0);
        const auto token =
            argmax(penalized_row(best_of(row, wanted), seen, options.repetition_penalty));
        if (!token) continue;
        ++told;
        changed += *token != argmax(row);
        REQUIRE(*token == argmax(penalized_logits(row, seen, options.repetition_penalty)));
    }
    CHECK(told > kRows / 2);
    CHECK(told < kRows);
    CHECK(changed > kRows / 20);
}

TEST_CASE("which best logits tell what the filters leave") {
    std::vector<float> row(1000, -10.0f);
    for (std::size_t i = 0; i < 30; ++i) row[i * 7] = static_cast<float>(i) / 10;
    const auto tells = [&](const SamplingOptions& options) {
        const int wanted = best_logits_wanted(options);
        REQUIRE(wanted > 0);
        return filter_best(penalized_row(best_of(row, wanted), {}, 1),
                           total_of(row, inverse_temperature(options)), options)
            .has_value();
    };
    CHECK(tells({.temperature = 1, .top_k = 20}));
    CHECK(tells({.temperature = 1, .top_k = 20, .top_p = 0.95, .min_p = 0.01}));
    CHECK(tells({.temperature = 1, .top_p = 0.9}));
    CHECK(tells({.temperature = 1, .min_p = 0.001}));
    CHECK(tells({.temperature = 1, .top_k = 30}));
    // The 970 others are equal: all of them are in top-k's last place.
    CHECK(!tells({.temperature = 1, .top_k = 31}));
    CHECK(!tells({.temperature = 1, .min_p = 1e-8}));
    // At a high temperature they hold most of the probability.
    CHECK(!tells({.temperature = 100, .top_p = 0.9}));
    CHECK(best_logits_wanted({.temperature = 1}) == 0);
    CHECK(best_logits_wanted({.temperature = 1, .top_k = 256}) == 0);
    CHECK(best_logits_wanted({.temperature = 0, .top_k = 20}) == 0);
    CHECK(best_logits_wanted({.temperature = 0, .repetition_penalty = 0.9}) == 0);
    CHECK(best_logits_wanted({.temperature = 1, .top_p = 0.9, .repetition_penalty = 1.1}) == 0);
    CHECK(tells({.temperature = 1, .top_k = 20, .repetition_penalty = 1.1}));
    CHECK(tells({.temperature = 1, .min_p = 0.001, .repetition_penalty = 1.1}));
    CHECK(inverse_temperature({.temperature = 0.5}) == 2);
    CHECK(inverse_temperature({.temperature = 1e-300}) > 0);
    CHECK(std::isfinite(inverse_temperature({.temperature = 1e-300})));
    CHECK(inverse_temperature({.temperature = 1e300}) > 0);
}

TEST_CASE("top-p alone takes probabilities by the total that it is given") {
    const std::vector<float> row = {0, 0, 0, 0};
    CHECK(filter_candidates(row, {.temperature = 1, .top_p = 0.5}).size() == 2);
    CHECK(filter_candidates(row, {.temperature = 1, .top_p = 0.5}, 4.5).size() == 3);
    CHECK(filter_candidates(row, {.temperature = 1, .top_k = 3, .top_p = 0.5}, 99.0).size() == 2);
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
