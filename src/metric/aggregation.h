#pragma once
// From the scores of all samples to one number and its standard error: lm-evaluation-harness
// 0.4.13, lm_eval/api/metrics.py.

#include <optional>
#include <string>
#include <vector>

#include "muster/metric/metric.h"

namespace muster {

/// What a metric's scores are: plain numbers, sums with weights, or pairs of predicted and right
/// index.
enum class ScoreKind { scalar, ratio, pair, brier };

struct Aggregation {
    std::string name;
    ScoreKind kind;
    /// Of columns without excluded samples, never empty.
    double (*function)(const std::vector<double>& values, const std::vector<double>& weights);
    enum class Error { none, of_mean, bootstrap } error;
};

/// The aggregation called `name`, or nullptr.
const Aggregation* find_aggregation(const std::string& name);
std::vector<std::string> known_aggregations();

/// Standard error as lm-eval computes it; nullopt where it says N/A (`bootstrap_iterations` = 0
/// included).
std::optional<double> standard_error(const Aggregation& aggregation,
                                     const std::vector<double>& values,
                                     const std::vector<double>& weights, int bootstrap_iterations);

double mean(const std::vector<double>& values);
/// With n − 1 in the denominator.
double sample_stddev(const std::vector<double>& values);

}  // namespace muster
