#pragma once
// Scoring and aggregation. One metric = one function + one table line (metric_table.cpp).
// Semantics: lm-evaluation-harness; formulas name their source in the .cpp files.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "muster/task/sample.h"
#include "muster/task/task_spec.h"

namespace muster {

/// One metric × filter over the samples of a task.
struct MetricColumn {
    std::string metric, filter;
    /// Per sample; the numerator for ratio metrics (Σ log-likelihood), the predicted index for f1
    /// and mcc. NaN: the sample takes no part (a perplexity of a text that could not be scored).
    std::vector<double> values;
    std::vector<double> weights;  ///< per sample: words or bytes for ratio metrics, the right index
                                  ///< for f1 and mcc, else empty
};

struct MetricResult {
    std::string metric, filter;
    double value = 0;
    std::optional<double> stderr_value;  ///< nullopt where lm-eval says N/A
    std::int64_t n = 0;                  ///< samples that take part
    bool higher_is_better = true;
};

struct TaskScores {
    std::vector<std::string> filters;  ///< names, in order
    std::vector<std::vector<std::vector<std::string>>>
        filtered;  ///< [filter][sample][repeat left]; generation only
    std::vector<MetricColumn> columns;
    std::vector<MetricResult> results;  ///< one per column, same order
};

/// Scores all samples of a task in order. `bootstrap_iterations` as in lm-eval (100,000 by default;
/// 0: no standard errors).
TaskScores score_task(const TaskSpec& spec, const std::vector<Sample>& samples,
                      const std::vector<Prediction>& predictions, int bootstrap_iterations);

/// Throws UserError at `place` for a metric or aggregation that is unknown or does not fit the
/// output type.
void check_metrics(const TaskSpec& spec);
std::vector<std::string> known_metrics();

/// Results of a group from those of the leaf tasks below it, by lm-eval's rules (mean weighted by
/// size or not, pooled stderr).
std::vector<MetricResult> aggregate_group(
    const GroupSpec& group, const std::vector<const std::vector<MetricResult>*>& leaves);

/// Neumaier-compensated sum in order, as Python ≥ 3.12's sum() of floats.
double compensated_sum(const std::vector<double>& values);

}  // namespace muster
