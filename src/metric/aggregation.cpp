#include "aggregation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>

#include "bootstrap.h"

namespace muster {

namespace {

using Column = std::vector<double>;

double aggregate_mean(const Column& values, const Column&) {
    return mean(values);
}

double aggregate_median(const Column& values, const Column&) {
    Column sorted = values;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    return *middle;
}

double aggregate_perplexity(const Column& values, const Column&) {
    return std::exp(-mean(values));
}

double weighted_mean(const Column& values, const Column& weights) {
    return compensated_sum(values) / compensated_sum(weights);
}

double aggregate_weighted_perplexity(const Column& values, const Column& weights) {
    return std::exp(-weighted_mean(values, weights));
}

double aggregate_bits_per_byte(const Column& values, const Column& weights) {
    return -weighted_mean(values, weights) / std::numbers::ln2;
}

/// scikit-learn's f1_score of a binary problem with 1 as the positive class; NaN if there are other
/// classes.
double aggregate_f1(const Column& predicted, const Column& right) {
    double both = 0, either = 0;
    for (std::size_t i = 0; i < predicted.size(); ++i) {
        if (predicted[i] > 1 || right[i] > 1 || right[i] < 0)
            return std::numeric_limits<double>::quiet_NaN();
        both += predicted[i] * right[i];
        either += predicted[i] + right[i];
    }
    return either == 0 ? 0 : 2 * both / either;
}

/// scikit-learn's matthews_corrcoef.
double aggregate_matthews(const Column& predicted, const Column& right) {
    std::map<double, std::pair<double, double>>
        counts;  // class → how often predicted, how often right
    double correct = 0;
    for (std::size_t i = 0; i < predicted.size(); ++i) {
        ++counts[predicted[i]].first;
        ++counts[right[i]].second;
        correct += predicted[i] == right[i] ? 1 : 0;
    }
    const auto n = static_cast<double>(predicted.size());
    double across = 0, of_predicted = 0, of_right = 0;
    for (const auto& [label, count] : counts) {
        across += count.first * count.second;
        of_predicted += count.first * count.first;
        of_right += count.second * count.second;
    }
    const double scale = (n * n - of_predicted) * (n * n - of_right);
    return scale == 0 ? 0 : (correct * n - across) / std::sqrt(scale);
}

const std::vector<Aggregation>& table() {
    using Error = Aggregation::Error;
    static const std::vector<Aggregation> kTable = {
        {"mean", ScoreKind::scalar, aggregate_mean, Error::of_mean},
        {"nanmean", ScoreKind::scalar, aggregate_mean, Error::bootstrap},
        {"median", ScoreKind::scalar, aggregate_median, Error::bootstrap},
        {"perplexity", ScoreKind::scalar, aggregate_perplexity, Error::bootstrap},
        {"weighted_perplexity", ScoreKind::ratio, aggregate_weighted_perplexity, Error::none},
        {"bits_per_byte", ScoreKind::ratio, aggregate_bits_per_byte, Error::none},
        {"f1", ScoreKind::pair, aggregate_f1, Error::bootstrap},
        {"matthews_corrcoef", ScoreKind::pair, aggregate_matthews, Error::bootstrap},
        {"brier_score", ScoreKind::brier, aggregate_mean, Error::none},
    };
    return kTable;
}

}  // namespace

double compensated_sum(const std::vector<double>& values) {
    NeumaierSum sum;
    for (double value : values) sum.add(value);
    return sum.result();
}

double mean(const std::vector<double>& values) {
    return compensated_sum(values) / static_cast<double>(values.size());
}

double sample_stddev(const std::vector<double>& values) {
    const double centre = mean(values);
    NeumaierSum squares;
    for (double value : values) squares.add((value - centre) * (value - centre));
    return std::sqrt(squares.result() / static_cast<double>(values.size() - 1));
}

const Aggregation* find_aggregation(const std::string& name) {
    for (const Aggregation& aggregation : table())
        if (aggregation.name == name) return &aggregation;
    return nullptr;
}

std::vector<std::string> known_aggregations() {
    std::vector<std::string> names;
    for (const Aggregation& aggregation : table()) names.push_back(aggregation.name);
    return names;
}

std::optional<double> standard_error(const Aggregation& aggregation,
                                     const std::vector<double>& values,
                                     const std::vector<double>& weights, int bootstrap_iterations) {
    const std::size_t n = values.size();
    if (bootstrap_iterations <= 0 || n < 2 || aggregation.error == Aggregation::Error::none)
        return std::nullopt;
    if (aggregation.error == Aggregation::Error::of_mean)
        return sample_stddev(values) / std::sqrt(static_cast<double>(n));
    std::vector<double> replicates;
    if (aggregation.function == aggregate_perplexity) {
        replicates = bootstrap_means(values, bootstrap_iterations);
        for (double& replicate : replicates) replicate = std::exp(-replicate);
    } else {
        replicates = bootstrap(n, bootstrap_iterations, [&](std::span<const std::uint32_t> drawn) {
            Column drawn_values, drawn_weights;
            drawn_values.reserve(n);
            for (std::uint32_t index : drawn) drawn_values.push_back(values[index]);
            if (!weights.empty())
                for (std::uint32_t index : drawn) drawn_weights.push_back(weights[index]);
            return aggregation.function(drawn_values, drawn_weights);
        });
    }
    if (replicates.size() < 2) return std::nullopt;
    return sample_stddev(replicates);
}

}  // namespace muster
