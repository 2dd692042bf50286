#include <doctest/doctest.h>

#include <cmath>

#include "muster/base/error.h"
#include "scoring.h"

using namespace muster;

namespace {

const std::vector<std::string> kNoResponses;

Sample sample_with(std::vector<std::string> choices, std::vector<std::int64_t> gold) {
    Sample sample;
    sample.choices = std::move(choices);
    sample.gold = std::move(gold);
    return sample;
}

Prediction prediction_with(std::vector<double> log_likelihoods) {
    Prediction prediction;
    prediction.is_greedy.resize(log_likelihoods.size());
    prediction.log_likelihoods = std::move(log_likelihoods);
    return prediction;
}

double score(Score (*function)(const SampleView&), const Sample& sample,
             const Prediction& prediction, bool usable = true) {
    return function({sample, prediction, kNoResponses, usable}).value;
}

}  // namespace

TEST_CASE("the first of equal maxima wins, and a NaN is the largest") {
    const double nan = std::nan("");
    CHECK(argmax(std::vector<double>{-3, -1, -1}) == 1);
    CHECK(argmax(std::vector<double>{-1, -1}) == 0);
    CHECK(argmax(std::vector<double>{-1, nan, 5, nan}) == 1);
}

TEST_CASE("accuracy by sum, by code points and by bytes") {
    // Per character 水水 (2) beats aaa (3), per byte (6 against 3) it is the other way round.
    const Sample sample = sample_with({"水水", "aaa"}, {0});
    const Prediction prediction = prediction_with({-4, -7});
    CHECK(score(score_accuracy, sample, prediction) == 1);
    CHECK(score(score_accuracy_by_characters, sample, prediction) == 1);  // -2 > -2.33
    CHECK(score(score_accuracy_by_bytes, sample, prediction) == 1);       // -0.67 > -2.33
    const Prediction close = prediction_with({-5, -7});
    CHECK(score(score_accuracy_by_characters, sample, close) == 0);  // -2.5 < -2.33
    CHECK(score(score_accuracy_by_bytes, sample, close) == 1);
}

TEST_CASE("a gold that is no choice is never right") {
    CHECK(score(score_accuracy, sample_with({"a", "b"}, {-100}), prediction_with({-1, -2})) == 0);
    CHECK(score(score_greedy_gold, sample_with({"a", "b"}, {-100}), prediction_with({-1, -2})) ==
          0);
    CHECK(
        std::isnan(score(score_brier, sample_with({"a", "b"}, {-100}), prediction_with({-1, -2}))));
}

TEST_CASE("unusable samples are wrong for accuracies and take no part in others") {
    const Sample sample = sample_with({"a", "b"}, {0});
    const Prediction nothing;
    for (auto function : {score_accuracy, score_accuracy_by_characters, score_accuracy_by_bytes,
                          score_mutual_information, score_greedy_gold, score_greedy})
        CHECK(score(function, sample, nothing, false) == 0);
    for (auto function :
         {score_brier, score_prediction_pair, score_log_likelihood, score_per_word, score_per_byte})
        CHECK(std::isnan(score(function, sample, nothing, false)));
}

TEST_CASE("missing log-likelihoods are a bug, not a score") {
    CHECK_THROWS_AS(score(score_accuracy, sample_with({"a", "b"}, {0}), prediction_with({-1})),
                    InternalError);
    CHECK_THROWS_AS(
        score(score_mutual_information, sample_with({"a", "b"}, {0}), prediction_with({-1, -2})),
        InternalError);
    CHECK_THROWS_AS(score(score_log_likelihood, Sample(), Prediction()), InternalError);
}
