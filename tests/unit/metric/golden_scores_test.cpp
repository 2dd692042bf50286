// Scores equal to lm-evaluation-harness's for the same answers: tests/golden/scores, made by
// scripts/golden/lm_eval_scores.py.
#include <doctest/doctest.h>

#include <cmath>

#include "muster/base/file.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/metric/metric.h"

using namespace muster;

namespace {

/// The task of the file without what only prompts need.
TaskSpec spec_of(const Value& golden, const std::string& file) {
    Object task = golden.find("task")->as_object();
    Object kwargs;
    kwargs.set("data_files", "unused.jsonl");
    task.set("dataset_kwargs", std::move(kwargs));
    return read_task_spec(Value(task), file);
}

std::vector<std::int64_t> gold_of(const Value& gold, std::size_t choices) {
    Array golds = gold.is_array() ? gold.as_array() : Array{gold};
    std::vector<std::int64_t> indices;
    for (const Value& index : golds)
        indices.push_back(
            index.as_integer() < static_cast<std::int64_t>(choices) ? index.as_integer() : -100);
    return indices;
}

Sample sample_of(const Value& row) {
    Sample sample;
    if (const Value* options = row.find("options"))
        for (const Value& option : options->as_array())
            sample.choices.push_back(option.as_string());
    if (const Value* gold = row.find("gold")) sample.gold = gold_of(*gold, sample.choices.size());
    if (const Value* answer = row.find("answer")) sample.targets = {answer->as_string()};
    if (const Value* references = row.find("refs"))
        for (const Value& reference : references->as_array())
            sample.targets.push_back(reference.as_string());
    if (const Value* text = row.find("text")) {
        sample.num_bytes = static_cast<std::int64_t>(text->as_string().size());
        // The rows are "word word … né\n end": words apart by single blanks, and one run of two.
        for (char c : text->as_string()) sample.num_words += c == ' ' ? 1 : 0;
        sample.num_words += 1;
    }
    return sample;
}

Prediction prediction_of(const Value& answer) {
    Prediction prediction;
    if (answer.is_string()) prediction.responses = {answer.as_string()};
    if (answer.is_array())
        for (const Value& entry : answer.as_array()) {
            if (entry.is_string()) {
                prediction.responses.push_back(entry.as_string());
                continue;
            }
            prediction.log_likelihoods.push_back(entry.as_array()[0].as_real());
            prediction.is_greedy.push_back(entry.as_array()[1].as_bool() ? 1 : 0);
        }
    return prediction;
}

void check_file(const std::string& file) {
    const Value golden = parse_json(read_file(file), file);
    const TaskSpec spec = spec_of(golden, file);
    std::vector<Sample> samples;
    std::vector<Prediction> predictions;
    for (const Value& row : golden.find("rows")->as_array()) samples.push_back(sample_of(row));
    for (const Value& answer : golden.find("answers")->as_array())
        predictions.push_back(prediction_of(answer));
    const TaskScores scores = score_task(spec, samples, predictions,
                                         static_cast<int>(golden.find("iterations")->as_integer()));

    const Object& expected = golden.find("results")->as_object();
    CHECK(expected.size() == 2 * scores.results.size());
    for (const MetricResult& result : scores.results) {
        CAPTURE(result.metric);
        CAPTURE(result.filter);
        const Value* value = expected.find(cat(result.metric, ",", result.filter));
        const Value* error = expected.find(cat(result.metric, "_stderr,", result.filter));
        REQUIRE(value != nullptr);
        REQUIRE(error != nullptr);
        // Both sides sum in the same order with the same compensation; numpy sums brier scores in
        // pairs.
        if (result.metric == "brier_score")
            CHECK(result.value == doctest::Approx(value->as_real()).epsilon(1e-14));
        else
            CHECK(result.value == value->as_real());
        REQUIRE(result.stderr_value.has_value() == !error->is_null());
        // (x - mean) ** 2 goes through pow() in Python.
        if (result.stderr_value)
            CHECK(*result.stderr_value == doctest::Approx(error->as_real()).epsilon(1e-14));
        CHECK(result.n == static_cast<std::int64_t>(samples.size()));
    }
}

}  // namespace

TEST_CASE("scores and standard errors are those of lm-evaluation-harness") {
    int files = 0;
    for (const std::string& file : glob_files(MUSTER_SOURCE_DIR "/tests/golden/scores/*.json")) {
        if (file.ends_with("group.json")) continue;
        CAPTURE(file);
        check_file(file);
        ++files;
    }
    CHECK(files >= 10);
}

TEST_CASE("groups are aggregated as in lm-evaluation-harness") {
    const std::string file = MUSTER_SOURCE_DIR "/tests/golden/scores/group.json";
    const Value golden = parse_json(read_file(file), file);
    std::vector<std::vector<MetricResult>> leaves;
    for (std::size_t i = 0; i < golden.find("values")->as_array().size(); ++i)
        leaves.push_back({{"acc", "none", golden.find("values")->as_array()[i].as_real(),
                           golden.find("stderrs")->as_array()[i].as_real(),
                           golden.find("sizes")->as_array()[i].as_integer(), true}});
    std::vector<const std::vector<MetricResult>*> pointers;
    for (const auto& leaf : leaves) pointers.push_back(&leaf);
    const GroupSpec group{"g", "g", {}, {{"acc", true, {}}, {"acc", false, {"none"}}}, {}};
    const std::vector<MetricResult> results = aggregate_group(group, pointers);
    REQUIRE(results.size() == 2);
    CHECK(results[0].value == golden.find("weighted")->as_real());
    CHECK(results[1].value == golden.find("plain")->as_real());
    CHECK(*results[0].stderr_value ==
          doctest::Approx(golden.find("weighted_stderr")->as_real()).epsilon(1e-15));
    CHECK(*results[1].stderr_value ==
          doctest::Approx(golden.find("plain_stderr")->as_real()).epsilon(1e-15));
    CHECK(results[0].n == 1027);
}
