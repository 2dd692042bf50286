#include "metric_table.h"

#include <algorithm>

#include "exact_match.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

const std::vector<MetricDefinition>& table() {
    using enum OutputType;
    static const std::vector<MetricDefinition> kTable = {
        {"acc", multiple_choice, ScoreKind::scalar, "mean", score_accuracy},
        {"acc_norm", multiple_choice, ScoreKind::scalar, "mean", score_accuracy_by_characters},
        {"acc_bytes", multiple_choice, ScoreKind::scalar, "mean", score_accuracy_by_bytes},
        {"acc_mutual_info", multiple_choice, ScoreKind::scalar, "mean", score_mutual_information},
        {"exact_match", multiple_choice, ScoreKind::scalar, "mean", score_greedy_gold},
        {"brier_score", multiple_choice, ScoreKind::brier, "brier_score", score_brier},
        {"f1", multiple_choice, ScoreKind::pair, "f1", score_prediction_pair},
        {"mcc", multiple_choice, ScoreKind::pair, "matthews_corrcoef", score_prediction_pair},
        {"perplexity", loglikelihood, ScoreKind::scalar, "perplexity", score_log_likelihood},
        {"acc", loglikelihood, ScoreKind::scalar, "mean", score_greedy},
        {"word_perplexity", loglikelihood_rolling, ScoreKind::ratio, "weighted_perplexity",
         score_per_word},
        {"byte_perplexity", loglikelihood_rolling, ScoreKind::ratio, "weighted_perplexity",
         score_per_byte},
        {"bits_per_byte", loglikelihood_rolling, ScoreKind::ratio, "bits_per_byte", score_per_byte},
        {"exact_match", generate_until, ScoreKind::scalar, "mean", nullptr},
    };
    return kTable;
}

std::vector<std::string> metrics_of(OutputType type) {
    std::vector<std::string> names;
    for (const MetricDefinition& metric : table())
        if (metric.output_type == type) names.push_back(metric.name);
    return names;
}

void check_options(const MetricSpec& metric, const MetricDefinition& definition,
                   const std::string& place) {
    if (definition.function == nullptr) {
        ExactMatch(metric.options, place);
        return;
    }
    // Options of exact_match stand at other metrics in published files; lm-eval ignores them there.
    const std::vector<std::string> harmless = {"ignore_case", "ignore_punctuation",
                                               "ignore_numbers", "regexes_to_ignore",
                                               "weight_by_size"};
    for (const auto& [key, value] : metric.options.members())
        if (std::find(harmless.begin(), harmless.end(), key) == harmless.end())
            throw UserError(
                cat(place, ": unknown option \"", key, "\"", did_you_mean(key, harmless)));
}

}  // namespace

const MetricDefinition* find_metric(const std::string& name, OutputType type) {
    for (const MetricDefinition& metric : table())
        if (metric.name == name && metric.output_type == type) return &metric;
    return nullptr;
}

std::vector<std::string> known_metrics() {
    std::vector<std::string> names;
    for (const MetricDefinition& metric : table())
        if (std::find(names.begin(), names.end(), metric.name) == names.end())
            names.push_back(metric.name);
    std::sort(names.begin(), names.end());
    return names;
}

void check_metrics(const TaskSpec& spec) {
    for (const MetricSpec& metric : spec.metrics) {
        const std::string place = cat(spec.source_file, ": task ", spec.name,
                                      ": /metric_list: metric \"", metric.name, "\"");
        const std::string type(name_of(spec.output_type));
        const std::vector<std::string> fitting = metrics_of(spec.output_type);
        const MetricDefinition* definition = find_metric(metric.name, spec.output_type);
        if (definition == nullptr) {
            const std::vector<std::string> known = known_metrics();
            const bool elsewhere =
                std::find(known.begin(), known.end(), metric.name) != known.end();
            throw UserError(cat(
                place, elsewhere ? cat(" does not fit output_type ", type) : " is not available",
                elsewhere ? "" : did_you_mean(metric.name, fitting), "; for ", type, ": ",
                join(fitting, ", ")));
        }
        if (!metric.aggregation.empty()) {
            const Aggregation* aggregation = find_aggregation(metric.aggregation);
            if (aggregation == nullptr)
                throw UserError(cat(place, ": aggregation \"", metric.aggregation,
                                    "\" is not available",
                                    did_you_mean(metric.aggregation, known_aggregations()),
                                    "; known: ", join(known_aggregations(), ", ")));
            if (aggregation->kind != definition->kind)
                throw UserError(cat(place, ": aggregation \"", metric.aggregation,
                                    "\" does not fit; expected ", definition->aggregation));
        }
        check_options(metric, *definition, place);
    }
}

}  // namespace muster
