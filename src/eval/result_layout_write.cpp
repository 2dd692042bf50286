#include "muster/eval/result_layout.h"

#include <algorithm>
#include <limits>

#include "muster/base/hash.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"

namespace muster {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// A 2-D column of the rows' lists, padded to the longest with `padding`.
template <typename T, typename GetRow>
Column padded(std::string name, std::string description, std::size_t rows, T padding,
              GetRow&& get) {
    std::size_t width = 1;
    for (std::size_t i = 0; i < rows; ++i) width = std::max(width, get(i).size());
    std::vector<T> data;
    data.reserve(rows * width);
    for (std::size_t i = 0; i < rows; ++i) {
        const auto& row = get(i);
        data.insert(data.end(), row.begin(), row.end());
        data.insert(data.end(), width - row.size(), padding);
    }
    return {std::move(name), std::move(description), std::move(data),
            static_cast<std::int64_t>(width)};
}

template <typename T, typename GetValue>
Column plain(std::string name, std::string description, std::size_t rows, GetValue&& get) {
    std::vector<T> data;
    data.reserve(rows);
    for (std::size_t i = 0; i < rows; ++i) data.push_back(get(i));
    return {std::move(name), std::move(description), std::move(data), 0};
}

std::vector<Column> sample_columns(const StoredTask& task) {
    const std::vector<Sample>& samples = task.samples;
    const std::vector<Prediction>& predictions = task.predictions;
    const std::size_t n = samples.size();
    std::vector<Column> columns;
    columns.push_back(plain<std::int64_t>("doc_id", "row of the document in its split", n,
                                          [&](std::size_t i) { return samples[i].doc_id; }));
    columns.push_back(plain<std::uint8_t>(
        "status",
        "0 ok, 1 context truncated from the left, 2 continuation too long, 3 bad document", n,
        [&](std::size_t i) { return static_cast<std::uint8_t>(predictions[i].status); }));
    columns.push_back(plain<std::string>("prompt_hash", "SHA-256 of the prompt", n,
                                         [&](std::size_t i) { return sha256(samples[i].prompt); }));
    columns.push_back(plain<std::string>(
        "prompt", "few-shot block and question, or the scored text of a rolling task", n,
        [&](std::size_t i) { return samples[i].prompt; }));
    columns.push_back(plain<std::string>("target", "reference answer", n,
                                         [&](std::size_t i) { return samples[i].target; }));
    columns.push_back(
        plain<std::int64_t>("prompt_tokens", "input tokens of the longest request", n,
                            [&](std::size_t i) { return predictions[i].prompt_tokens; }));
    columns.push_back(padded<std::int64_t>(
        "num_tokens", "scored or generated tokens per request; -1: none", n,
        -1, [&](std::size_t i) -> const auto& { return predictions[i].num_tokens; }));
    if (std::any_of(samples.begin(), samples.end(),
                    [](const Sample& s) { return !s.error.empty(); }))
        columns.push_back(plain<std::string>("error", "why the document could not be used", n,
                                             [&](std::size_t i) { return samples[i].error; }));
    if (task.spec.output_type == OutputType::generate_until) {
        columns.push_back(padded<std::string>(
            "targets", "all references", n,
            std::string(), [&](std::size_t i) -> const auto& { return samples[i].targets; }));
        columns.push_back(plain<std::int64_t>(
            "num_targets", "references of this document", n,
            [&](std::size_t i) { return static_cast<std::int64_t>(samples[i].targets.size()); }));
        columns.push_back(padded<std::string>(
            "response", "generated text, one per repeat", n,
            std::string(), [&](std::size_t i) -> const auto& { return predictions[i].responses; }));
    } else {
        columns.push_back(padded<double>(
            "loglikelihood", "sum of log-probabilities (nats) per request; NaN: none", n,
            kNaN, [&](std::size_t i) -> const auto& { return predictions[i].log_likelihoods; }));
        columns.push_back(padded<std::uint8_t>(
            "is_greedy", "1 if greedy decoding would give the continuation, per request", n,
            std::uint8_t{0}, [&](std::size_t i) -> const auto& {
                return predictions[i].is_greedy;
            }));
    }
    if (task.spec.output_type == OutputType::multiple_choice) {
        columns.push_back(padded<std::string>(
            "choices", "answer texts", n,
            std::string(), [&](std::size_t i) -> const auto& { return samples[i].choices; }));
        columns.push_back(plain<std::int64_t>(
            "num_choices", "answers of this document", n,
            [&](std::size_t i) { return static_cast<std::int64_t>(samples[i].choices.size()); }));
        columns.push_back(padded<std::int64_t>(
            "gold", "indices of right answers; -1: none, -100: not among the choices", n,
            -1, [&](std::size_t i) -> const auto& { return samples[i].gold; }));
    }
    if (task.spec.output_type == OutputType::loglikelihood_rolling) {
        columns.push_back(plain<std::int64_t>("num_words", "words of the document", n,
                                              [&](std::size_t i) { return samples[i].num_words; }));
        columns.push_back(plain<std::int64_t>("num_bytes", "UTF-8 bytes of the document", n,
                                              [&](std::size_t i) { return samples[i].num_bytes; }));
    }
    for (std::size_t f = 0; f < task.scores.filtered.size(); ++f)
        columns.push_back(padded<std::string>(
            cat("filtered.", task.scores.filters[f]), "response after this filter", n,
            std::string(), [&](std::size_t i) -> const auto& {
                return task.scores.filtered[f][i];
            }));
    for (const MetricColumn& metric : task.scores.columns)
        columns.push_back({cat(metric.metric, ".", metric.filter),
                           "value of this metric for the sample", metric.values, 0});
    return columns;
}

std::vector<Column> metric_columns(const std::vector<MetricResult>& results) {
    const std::size_t n = results.size();
    return {plain<std::string>("metric", "name of the metric", n,
                               [&](std::size_t i) { return results[i].metric; }),
            plain<std::string>("filter", "answer filter it was computed on", n,
                               [&](std::size_t i) { return results[i].filter; }),
            plain<double>("value", "aggregate over the samples", n,
                          [&](std::size_t i) { return results[i].value; }),
            plain<double>("stderr", "standard error of the value; NaN where it is not defined", n,
                          [&](std::size_t i) { return results[i].stderr_value.value_or(kNaN); }),
            plain<std::int64_t>("n", "samples that were aggregated", n,
                                [&](std::size_t i) { return results[i].n; }),
            plain<std::uint8_t>("higher_is_better", "1 or 0", n, [&](std::size_t i) {
                return std::uint8_t{results[i].higher_is_better};
            })};
}

Value group_config(const GroupSpec& spec) {
    Object config;
    config.set("group", spec.name);
    config.set("group_alias", spec.alias);
    config.set("task", Array(spec.members.begin(), spec.members.end()));
    Array aggregates;
    for (const GroupMetricSpec& aggregate : spec.aggregates) {
        Object entry;
        entry.set("metric", aggregate.metric);
        entry.set("weight_by_size", aggregate.weight_by_size);
        entry.set("filter_list", Array(aggregate.filters.begin(), aggregate.filters.end()));
        aggregates.push_back(entry);
    }
    config.set("aggregate_metric_list", aggregates);
    config.set("metadata", spec.metadata);
    return config;
}

}  // namespace

void write_task(ResultWriter& file, const StoredTask& task) {
    const std::string path = child_path("/tasks", task.spec.name);
    file.write_group(path, cat(task.spec.alias, " (", name_of(task.spec.output_type), ", ",
                               task.spec.num_fewshot, "-shot)"));
    file.write_attribute(path, "output_type", std::string(name_of(task.spec.output_type)));
    file.write_attribute(path, "num_fewshot", task.spec.num_fewshot);
    file.write_attribute(path, "num_samples", static_cast<std::int64_t>(task.samples.size()));
    file.write_text(path + "/config", to_json(task.spec.resolved, 2));
    file.write_columns(path + "/samples", sample_columns(task));
    file.write_columns(path + "/metrics", metric_columns(task.scores.results));
}

void write_group(ResultWriter& file, const StoredGroup& group) {
    const std::string path = child_path("/groups", group.spec.name);
    file.write_group(path, group.spec.alias);
    file.write_text(path + "/config", to_json(group_config(group.spec), 2));
    file.write_columns(path + "/metrics", metric_columns(group.results));
}

std::vector<SummaryRow> make_summary(const std::vector<StoredTask>& tasks,
                                     const std::vector<StoredGroup>& groups) {
    std::vector<SummaryRow> rows;
    const auto add = [&](const std::string& name, const std::vector<MetricResult>& results,
                         bool is_group) {
        for (const MetricResult& result : results)
            rows.push_back({name, result.metric, result.filter, result.value,
                            result.stderr_value.value_or(kNaN), result.n, result.higher_is_better,
                            is_group});
    };
    for (auto group = groups.rbegin(); group != groups.rend(); ++group)
        add(group->spec.name, group->results, true);
    for (const StoredTask& task : tasks) add(task.spec.name, task.scores.results, false);
    return rows;
}

}  // namespace muster
