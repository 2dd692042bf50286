#include "muster/eval/result_layout.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "muster/base/error.h"
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

/// The columns of one HDF5 group by name, typed.
class Columns {
 public:
    Columns(const ResultReader& file, std::string path)
        : path_(std::move(path)), columns_(file.read_columns(path_)) {}

    template <typename T>
    const std::vector<T>& get(const std::string& name) const {
        const Column* column = find(name);
        if (!column) throw UserError(cat(path_, "/", name, ": missing"));
        const auto* data = std::get_if<std::vector<T>>(&column->data);
        if (!data) throw UserError(cat(path_, "/", name, ": of another type than expected"));
        return *data;
    }
    std::int64_t width(const std::string& name) const {
        const Column* column = find(name);
        return column ? std::max<std::int64_t>(column->width, 1) : 0;
    }
    const Column* find(const std::string& name) const {
        const auto it = std::find_if(columns_.begin(), columns_.end(),
                                     [&](const Column& c) { return c.name == name; });
        return it == columns_.end() ? nullptr : &*it;
    }
    const std::vector<Column>& all() const { return columns_; }
    std::size_t rows() const {
        return columns_.empty() ? 0 : static_cast<std::size_t>(columns_.front().rows());
    }
    void check_equal_rows() const {
        for (const Column& column : columns_)
            if (static_cast<std::size_t>(column.rows()) != rows())
                throw UserError(cat(path_, "/", column.name, ": ", column.rows(), " rows, but ",
                                    columns_.front().name, " has ", rows()));
    }

 private:
    std::string path_;
    std::vector<Column> columns_;
};

/// The first `count(row)` values of every row of a padded column.
template <typename T>
std::vector<std::vector<T>> unpad(const Columns& columns, const std::string& name,
                                  const std::function<std::size_t(std::size_t)>& count) {
    const std::vector<T>& data = columns.get<T>(name);
    const auto width = static_cast<std::size_t>(columns.width(name));
    std::vector<std::vector<T>> rows(columns.rows());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto begin = data.begin() + static_cast<std::ptrdiff_t>(i * width);
        rows[i].assign(begin, begin + static_cast<std::ptrdiff_t>(std::min(count(i), width)));
    }
    return rows;
}

std::vector<MetricResult> read_metrics(const ResultReader& file, const std::string& path) {
    const Columns columns(file, path);
    columns.check_equal_rows();
    std::vector<MetricResult> results(columns.rows());
    for (std::size_t i = 0; i < results.size(); ++i) {
        const double error = columns.get<double>("stderr")[i];
        results[i] = {columns.get<std::string>("metric")[i],
                      columns.get<std::string>("filter")[i],
                      columns.get<double>("value")[i],
                      std::isnan(error) ? std::nullopt : std::optional(error),
                      columns.get<std::int64_t>("n")[i],
                      columns.get<std::uint8_t>("higher_is_better")[i] != 0};
    }
    return results;
}

void read_samples(const Columns& columns, StoredTask& task) {
    columns.check_equal_rows();
    const std::size_t n = columns.rows();
    task.samples.resize(n);
    task.predictions.resize(n);
    const auto& num_tokens = columns.get<std::int64_t>("num_tokens");
    const auto width = static_cast<std::size_t>(columns.width("num_tokens"));
    const auto requests_of = [&](std::size_t i) {  // -1 pads
        std::size_t count = 0;
        while (count < width && num_tokens[i * width + count] >= 0) ++count;
        return count;
    };
    const auto token_counts = unpad<std::int64_t>(columns, "num_tokens", requests_of);
    for (std::size_t i = 0; i < n; ++i) {
        Sample& sample = task.samples[i];
        Prediction& prediction = task.predictions[i];
        sample.doc_id = columns.get<std::int64_t>("doc_id")[i];
        sample.prompt = columns.get<std::string>("prompt")[i];
        sample.target = columns.get<std::string>("target")[i];
        if (columns.find("error")) sample.error = columns.get<std::string>("error")[i];
        const std::uint8_t status = columns.get<std::uint8_t>("status")[i];
        if (status > static_cast<std::uint8_t>(SampleStatus::bad_document))
            throw UserError(
                cat("status ", int{status}, " of doc_id ", sample.doc_id, " is unknown"));
        prediction.status = static_cast<SampleStatus>(status);
        prediction.prompt_tokens = columns.get<std::int64_t>("prompt_tokens")[i];
        prediction.num_tokens = token_counts[i];
    }
    if (task.spec.output_type == OutputType::generate_until) {
        const auto& num_targets = columns.get<std::int64_t>("num_targets");
        const auto targets = unpad<std::string>(columns, "targets", [&](std::size_t i) {
            return static_cast<std::size_t>(std::max<std::int64_t>(num_targets[i], 0));
        });
        const auto responses = unpad<std::string>(columns, "response", requests_of);
        for (std::size_t i = 0; i < n; ++i)
            task.samples[i].targets = targets[i], task.predictions[i].responses = responses[i];
    } else {
        const auto sums = unpad<double>(columns, "loglikelihood", requests_of);
        const auto greedy = unpad<std::uint8_t>(columns, "is_greedy", requests_of);
        for (std::size_t i = 0; i < n; ++i)
            task.predictions[i].log_likelihoods = sums[i],
            task.predictions[i].is_greedy = greedy[i];
    }
    if (task.spec.output_type == OutputType::multiple_choice) {
        const auto& num_choices = columns.get<std::int64_t>("num_choices");
        const auto choices = unpad<std::string>(columns, "choices", [&](std::size_t i) {
            return static_cast<std::size_t>(std::max<std::int64_t>(num_choices[i], 0));
        });
        auto gold = unpad<std::int64_t>(columns, "gold", [](std::size_t) { return SIZE_MAX; });
        for (std::size_t i = 0; i < n; ++i) {
            std::erase(gold[i], -1);
            task.samples[i].choices = choices[i];
            task.samples[i].gold = gold[i];
        }
    }
    if (task.spec.output_type == OutputType::loglikelihood_rolling)
        for (std::size_t i = 0; i < n; ++i) {
            task.samples[i].num_words = columns.get<std::int64_t>("num_words")[i];
            task.samples[i].num_bytes = columns.get<std::int64_t>("num_bytes")[i];
        }
}

void read_scores(const Columns& columns, StoredTask& task) {
    for (const MetricResult& result : task.scores.results) {
        const auto& values = columns.get<double>(cat(result.metric, ".", result.filter));
        task.scores.columns.push_back({result.metric, result.filter, values, {}});
    }
    if (task.spec.output_type != OutputType::generate_until) return;
    for (const FilterSpec& filter : task.spec.filters) {
        task.scores.filters.push_back(filter.name);
        task.scores.filtered.push_back(unpad<std::string>(columns, cat("filtered.", filter.name),
                                                          [](std::size_t) { return SIZE_MAX; }));
    }
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

std::vector<std::string> string_list(const Value* value) {
    std::vector<std::string> strings;
    if (value && value->is_array())
        for (const Value& item : value->as_array())
            if (item.is_string()) strings.push_back(item.as_string());
    return strings;
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

StoredTask read_task(const ResultReader& file, const std::string& name) {
    const std::string path = child_path("/tasks", name);
    if (!file.exists(path))
        throw UserError(
            cat("no task \"", name, "\" in this file", did_you_mean(name, stored_tasks(file))));
    StoredTask task;
    task.spec = read_task_spec(parse_json(file.read_text(path + "/config"), path + "/config"),
                               path + "/config");
    task.spec.name = name;
    if (const auto shots = file.read_integer_attribute(path, "num_fewshot"))
        task.spec.num_fewshot = *shots;
    const Columns columns(file, path + "/samples");
    read_samples(columns, task);
    task.scores.results = read_metrics(file, path + "/metrics");
    read_scores(columns, task);
    return task;
}

StoredGroup read_group(const ResultReader& file, const std::string& name) {
    const std::string path = child_path("/groups", name);
    const Value config = parse_json(file.read_text(path + "/config"), path + "/config");
    StoredGroup group;
    group.spec.name = name;
    if (const Value* alias = config.find("group_alias"); alias && alias->is_string())
        group.spec.alias = alias->as_string();
    group.spec.members = string_list(config.find("task"));
    const Value* aggregates = config.find("aggregate_metric_list");
    if (aggregates && aggregates->is_array())
        for (const Value& entry : aggregates->as_array()) {
            const Value* metric = entry.find("metric");
            const Value* weight = entry.find("weight_by_size");
            if (!metric || !metric->is_string() || !weight || !weight->is_bool())
                throw UserError(path + "/config: aggregate_metric_list is malformed");
            group.spec.aggregates.push_back(
                {metric->as_string(), weight->as_bool(), string_list(entry.find("filter_list"))});
        }
    group.results = read_metrics(file, path + "/metrics");
    return group;
}

std::vector<std::string> stored_tasks(const ResultReader& file) {
    return file.members("/tasks");
}
std::vector<std::string> stored_groups(const ResultReader& file) {
    return file.members("/groups");
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

std::vector<std::string> leaves_of(const GroupSpec& group, const std::vector<GroupSpec>& groups) {
    std::vector<std::string> leaves;
    for (const std::string& member : group.members) {
        const auto inner = std::find_if(groups.begin(), groups.end(),
                                        [&](const GroupSpec& g) { return g.name == member; });
        const std::vector<std::string> found =
            inner == groups.end() ? std::vector{member} : leaves_of(*inner, groups);
        for (const std::string& leaf : found)
            if (std::find(leaves.begin(), leaves.end(), leaf) == leaves.end())
                leaves.push_back(leaf);
    }
    return leaves;
}

}  // namespace muster
