// Multiple choice and greedy accuracy: lm-evaluation-harness 0.4.13,
// ConfigurableTask.process_results.
#include <algorithm>
#include <cmath>
#include <limits>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "scoring.h"

namespace muster {

namespace {

constexpr double kExcluded = std::numeric_limits<double>::quiet_NaN();

/// Log-likelihoods of the choices without the unconditional ones that may follow.
std::span<const double> conditional(const SampleView& view) {
    const std::vector<double>& all = view.prediction.log_likelihoods;
    const std::size_t choices = view.sample.choices.size();
    if (choices == 0 || all.size() < choices || view.prediction.is_greedy.size() < choices)
        throw InternalError(cat("document ", view.sample.doc_id, ": ", all.size(),
                                " log-likelihoods for ", choices, " choices"));
    return std::span(all).first(choices);
}

bool is_gold(const Sample& sample, std::size_t index) {
    return std::find(sample.gold.begin(), sample.gold.end(), static_cast<std::int64_t>(index)) !=
           sample.gold.end();
}

Score hit(const SampleView& view, std::span<const double> values) {
    return {is_gold(view.sample, argmax(values)) ? 1.0 : 0.0};
}

template <typename Length>
Score hit_per_length(const SampleView& view, Length length) {
    if (!view.usable) return {0};
    const std::span<const double> sums = conditional(view);
    std::vector<double> means;
    for (std::size_t i = 0; i < sums.size(); ++i)
        means.push_back(sums[i] / static_cast<double>(length(view.sample.choices[i])));
    return hit(view, means);
}

}  // namespace

std::size_t argmax(std::span<const double> values) {
    std::size_t best = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (std::isnan(values[i])) return i;
        if (values[i] > values[best]) best = i;
    }
    return best;
}

Score score_accuracy(const SampleView& view) {
    if (!view.usable) return {0};
    return hit(view, conditional(view));
}

Score score_accuracy_by_characters(const SampleView& view) {
    return hit_per_length(view,
                          [](const std::string& choice) { return count_code_points(choice); });
}

Score score_accuracy_by_bytes(const SampleView& view) {
    return hit_per_length(view, [](const std::string& choice) { return choice.size(); });
}

Score score_mutual_information(const SampleView& view) {
    if (!view.usable) return {0};
    const std::span<const double> sums = conditional(view);
    const std::vector<double>& all = view.prediction.log_likelihoods;
    if (all.size() != 2 * sums.size())
        throw InternalError(cat("document ", view.sample.doc_id, ": ", all.size(),
                                " log-likelihoods; acc_mutual_info needs ", 2 * sums.size()));
    std::vector<double> gains;
    for (std::size_t i = 0; i < sums.size(); ++i) gains.push_back(sums[i] - all[sums.size() + i]);
    return hit(view, gains);
}

Score score_greedy_gold(const SampleView& view) {
    if (!view.usable) return {0};
    const std::size_t choices = conditional(view).size();
    for (std::int64_t gold : view.sample.gold)
        if (gold >= 0 && static_cast<std::size_t>(gold) < choices &&
            view.prediction.is_greedy[static_cast<std::size_t>(gold)] != 0)
            return {1};
    return {0};
}

Score score_brier(const SampleView& view) {
    // lm-eval fails on a gold answer that is no choice; here such a sample does not take part.
    if (!view.usable || view.sample.gold.empty() || view.sample.gold.front() < 0)
        return {kExcluded};
    const std::span<const double> sums = conditional(view);
    const double largest = *std::max_element(sums.begin(), sums.end());
    double total = 0;
    for (double sum : sums) total += std::exp(sum - largest);
    double score = 0;
    for (std::size_t i = 0; i < sums.size(); ++i) {
        const double wanted = static_cast<std::int64_t>(i) == view.sample.gold.front() ? 1.0 : 0.0;
        const double difference = std::exp(sums[i] - largest) / total - wanted;
        score += difference * difference;
    }
    return {score};
}

Score score_prediction_pair(const SampleView& view) {
    if (!view.usable || view.sample.gold.empty()) return {kExcluded};
    return {static_cast<double>(argmax(conditional(view))),
            static_cast<double>(view.sample.gold.front())};
}

Score score_greedy(const SampleView& view) {
    if (!view.usable) return {0};
    if (view.prediction.is_greedy.empty())
        throw InternalError(cat("document ", view.sample.doc_id, ": no greedy flag"));
    return {view.prediction.is_greedy.front() != 0 ? 1.0 : 0.0};
}

}  // namespace muster
