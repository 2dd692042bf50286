#include <doctest/doctest.h>

#include <cmath>

#include "muster/base/error.h"
#include "muster/metric/metric.h"
#include "unit/error_message.h"

using namespace muster;

namespace {

TaskSpec spec_with(OutputType type, std::vector<MetricSpec> metrics) {
    TaskSpec spec;
    spec.name = std::string("t");
    spec.source_file = std::string("t.yaml");
    spec.output_type = type;
    spec.filters = {{"none", {{"take_first", {}}}}};
    spec.metrics = std::move(metrics);
    return spec;
}

std::string complaint(OutputType type, MetricSpec metric) {
    return test::error_message<UserError>(
        [&] { check_metrics(spec_with(type, {std::move(metric)})); });
}

bool mentions(const std::string& message, std::string_view text) {
    return message.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("metrics and aggregations must fit") {
    CHECK(complaint(OutputType::multiple_choice, {"acc", "mean", true, {}}) ==
          "nothing was thrown");
    CHECK(complaint(OutputType::multiple_choice, {"acc_nrom", "", true, {}}) ==
          "t.yaml: task t: /metric_list: metric \"acc_nrom\" is not available; did you mean "
          "\"acc_norm\"?; for multiple_choice: "
          "acc, acc_norm, acc_bytes, acc_mutual_info, exact_match, brier_score, f1, mcc");
    CHECK(mentions(complaint(OutputType::generate_until, {"acc", "", true, {}}),
                   "does not fit output_type generate_until"));
    CHECK(mentions(complaint(OutputType::loglikelihood, {"perplexity", "perplexiti", false, {}}),
                   "did you mean \"perplexity\"?"));
    CHECK(mentions(
        complaint(OutputType::loglikelihood_rolling, {"word_perplexity", "mean", false, {}}),
        "expected weighted_perplexity"));
    Object options;
    options.set("ignore_cases", true);
    CHECK(mentions(complaint(OutputType::generate_until, {"exact_match", "", true, options}),
                   "did you mean \"ignore_case\"?"));
    CHECK(mentions(complaint(OutputType::multiple_choice, {"acc", "", true, options}),
                   "did you mean \"ignore_case\"?"));
}

TEST_CASE("bad samples count as wrong, or reduce n where no number stands for them") {
    std::vector<Sample> samples(3);
    std::vector<Prediction> predictions(3);
    for (Prediction& prediction : predictions) {
        prediction.log_likelihoods = {-2};
        prediction.is_greedy = {1};
    }
    predictions[1] = {};
    predictions[1].status = SampleStatus::too_long;
    predictions[2].status = SampleStatus::truncated;
    const TaskScores scores =
        score_task(spec_with(OutputType::loglikelihood,
                             {{"acc", "", true, {}}, {"perplexity", "", false, {}}}),
                   samples, predictions, 0);
    REQUIRE(scores.results.size() == 2);
    CHECK(scores.results[0].value == 2.0 / 3);
    CHECK(scores.results[0].n == 3);
    CHECK(scores.results[1].value == std::exp(2.0));
    CHECK(scores.results[1].n == 2);
    CHECK(std::isnan(scores.columns[1].values[1]));
}

TEST_CASE("generation keeps what each filter left") {
    TaskSpec spec = spec_with(OutputType::generate_until, {{"exact_match", "", true, {}}});
    spec.filters = {{"raw", {}}, {"first", {{"remove_whitespace", {}}, {"take_first", {}}}}};
    std::vector<Sample> samples(1);
    samples[0].targets = {"a"};
    std::vector<Prediction> predictions(1);
    predictions[0].responses = {" a", "a"};
    const TaskScores scores = score_task(spec, samples, predictions, 0);
    REQUIRE(scores.filtered.size() == 2);
    CHECK(scores.filtered[0][0].size() == 2);
    CHECK(scores.filtered[1][0] == std::vector<std::string>{"a"});
    CHECK(scores.results[0].value == 0.5);  // the share of the repeats that are left
    CHECK(scores.results[1].value == 1);
}

TEST_CASE("a group without standard errors has none") {
    const std::vector<MetricResult> a = {{"acc", "none", 0.5, std::nullopt, 4, true},
                                         {"acc", "x", 1, 0.1, 4, true}};
    const std::vector<MetricResult> b = {{"acc", "none", 0.75, 0.1, 12, true}};
    const GroupSpec group{"g", "g", {}, {{"acc", true, {}}, {"f1", true, {}}}, {}};
    const std::vector<MetricResult> results = aggregate_group(group, {&a, &b});
    REQUIRE(results.size() == 2);  // acc,none and acc,x; f1 is nowhere
    CHECK(results[0].value == (0.5 * 4 + 0.75 * 12) / 16);
    CHECK_FALSE(results[0].stderr_value);
    CHECK(results[1].filter == "x");
    CHECK(results[1].n == 4);
}
