#include <cmath>
#include <functional>
#include <memory>

#include "aggregation.h"
#include "exact_match.h"
#include "metric_table.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/task/filter.h"

namespace muster {

namespace {

using MetricFunction = std::function<Score(const SampleView&)>;
using Responses = std::vector<std::vector<std::string>>;

MetricFunction function_of(const MetricSpec& metric, const MetricDefinition& definition,
                           const TaskSpec& spec) {
    if (definition.function != nullptr) return definition.function;
    return [exact = std::make_shared<ExactMatch>(metric.options,
                                                 cat("task ", spec.name, ": ", metric.name))](
               const SampleView& view) { return (*exact)(view); };
}

Responses filtered_responses(const FilterSpec& filter, const TaskSpec& spec,
                             const std::vector<Prediction>& predictions) {
    const FilterPipeline pipeline(filter, cat("task ", spec.name, ": filter ", filter.name));
    Responses filtered;
    filtered.reserve(predictions.size());
    for (const Prediction& prediction : predictions)
        filtered.push_back(pipeline.apply(prediction.responses));
    return filtered;
}

bool is_usable(SampleStatus status) {
    return status == SampleStatus::ok || status == SampleStatus::truncated;
}

MetricColumn score_column(const MetricFunction& function, ScoreKind kind,
                          const std::vector<Sample>& samples,
                          const std::vector<Prediction>& predictions, const Responses& responses) {
    static const std::vector<std::string> kNoResponses;
    MetricColumn column;
    const bool weighted = kind == ScoreKind::ratio || kind == ScoreKind::pair;
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const SampleView view{samples[i], predictions[i],
                              responses.empty() ? kNoResponses : responses[i],
                              is_usable(predictions[i].status)};
        const Score score = function(view);
        column.values.push_back(score.value);
        if (weighted) column.weights.push_back(score.weight);
    }
    return column;
}

MetricResult aggregate(const MetricColumn& column, const Aggregation& aggregation,
                       const MetricSpec& metric, int bootstrap_iterations) {
    std::vector<double> values, weights;
    for (std::size_t i = 0; i < column.values.size(); ++i) {
        if (std::isnan(column.values[i])) continue;  // takes no part
        values.push_back(column.values[i]);
        if (!column.weights.empty()) weights.push_back(column.weights[i]);
    }
    MetricResult result;
    result.metric = column.metric;
    result.filter = column.filter;
    result.higher_is_better = metric.higher_is_better;
    result.n = static_cast<std::int64_t>(values.size());
    result.value = values.empty() ? std::nan("") : aggregation.function(values, weights);
    result.stderr_value = standard_error(aggregation, values, weights, bootstrap_iterations);
    return result;
}

}  // namespace

TaskScores score_task(const TaskSpec& spec, const std::vector<Sample>& samples,
                      const std::vector<Prediction>& predictions, int bootstrap_iterations) {
    if (samples.size() != predictions.size())
        throw InternalError(cat("task ", spec.name, ": ", samples.size(), " samples and ",
                                predictions.size(), " predictions"));
    check_metrics(spec);
    TaskScores scores;
    for (const FilterSpec& filter : spec.filters) {
        scores.filters.push_back(filter.name);
        Responses responses;
        if (spec.output_type == OutputType::generate_until)
            responses = filtered_responses(filter, spec, predictions);
        for (const MetricSpec& metric : spec.metrics) {
            const MetricDefinition& definition = *find_metric(metric.name, spec.output_type);
            MetricColumn column = score_column(function_of(metric, definition, spec),
                                               definition.kind, samples, predictions, responses);
            column.metric = metric.name;
            column.filter = filter.name;
            const std::string& name =
                metric.aggregation.empty() ? definition.aggregation : metric.aggregation;
            scores.results.push_back(
                aggregate(column, *find_aggregation(name), metric, bootstrap_iterations));
            scores.columns.push_back(std::move(column));
        }
        if (spec.output_type == OutputType::generate_until)
            scores.filtered.push_back(std::move(responses));
    }
    return scores;
}

}  // namespace muster
