#include "muster/eval/result_layout.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"

namespace muster {

namespace {

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

std::vector<std::string> string_list(const Value* value) {
    std::vector<std::string> strings;
    if (value && value->is_array())
        for (const Value& item : value->as_array())
            if (item.is_string()) strings.push_back(item.as_string());
    return strings;
}

}  // namespace

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
