#include <algorithm>
#include <cstdio>
#include <sstream>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/eval/report.h"
#include "muster/eval/result_layout.h"

namespace muster {

namespace {

std::string indented(const std::string& text) {
    std::string out = "    ";
    for (char c : text) {
        out += c;
        if (c == '\n') out += "    ";
    }
    return out + "\n";
}

std::string fixed(double value) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.4f", value);
    return buffer;
}

std::string_view status_name(SampleStatus status) {
    switch (status) {
        case SampleStatus::ok:
            return "ok";
        case SampleStatus::truncated:
            return "prompt cut from the left";
        case SampleStatus::too_long:
            return "continuation longer than the model";
        case SampleStatus::bad_document:
            return "bad document";
    }
    return "?";
}

void print_answers(std::ostream& out, const StoredTask& task, std::size_t i) {
    const Sample& sample = task.samples[i];
    const Prediction& prediction = task.predictions[i];
    if (task.spec.output_type == OutputType::generate_until) {
        for (std::size_t r = 0; r < prediction.responses.size(); ++r)
            out << "  response" << (prediction.responses.size() > 1 ? cat(" ", r) : "") << " ("
                << prediction.num_tokens[r] << " tokens)\n"
                << indented(prediction.responses[r]);
        for (std::size_t f = 0; f < task.scores.filters.size(); ++f)
            out << "  filter " << task.scores.filters[f] << "\n"
                << indented(join(task.scores.filtered[f][i], "\n"));
    } else if (task.spec.output_type == OutputType::multiple_choice) {
        const std::size_t scored =
            std::min(sample.choices.size(), prediction.log_likelihoods.size());
        const auto begin = prediction.log_likelihoods.begin();
        const auto best = std::max_element(begin, begin + static_cast<std::ptrdiff_t>(scored));
        for (std::size_t c = 0; c < scored; ++c) {
            const bool right = std::find(sample.gold.begin(), sample.gold.end(),
                                         static_cast<std::int64_t>(c)) != sample.gold.end();
            out << "  " << (begin + static_cast<std::ptrdiff_t>(c) == best ? ">" : " ")
                << (right ? "*" : " ") << " " << fixed(prediction.log_likelihoods[c]) << "  "
                << sample.choices[c] << "\n";
        }
        out << "  (> chosen, * right; log-likelihoods in nats)\n";
    } else {
        for (std::size_t r = 0; r < prediction.log_likelihoods.size(); ++r)
            out << "  log-likelihood " << fixed(prediction.log_likelihoods[r]) << " over "
                << prediction.num_tokens[r] << " tokens"
                << (prediction.is_greedy[r] ? ", greedy" : "") << "\n";
    }
}

void print_sample(std::ostream& out, const StoredTask& task, std::size_t i) {
    const Sample& sample = task.samples[i];
    out << "── " << task.spec.name << " doc " << sample.doc_id << " ("
        << status_name(task.predictions[i].status) << ", " << task.predictions[i].prompt_tokens
        << " input tokens)\n";
    if (!sample.error.empty()) out << "  error " << sample.error << "\n";
    out << "  prompt\n" << indented(sample.prompt);
    if (!sample.target.empty()) out << "  target\n" << indented(sample.target);
    print_answers(out, task, i);
    for (const MetricColumn& column : task.scores.columns)
        out << "  " << column.metric << " (" << column.filter << ") " << fixed(column.values[i])
            << "\n";
    out << "\n";
}

/// Values of the metric that says right or wrong, if the task has one.
const std::vector<double>* correctness(const StoredTask& task) {
    for (const char* name : {"acc", "exact_match", "acc_norm"})
        for (const MetricColumn& column : task.scores.columns)
            if (column.metric == name) return &column.values;
    return nullptr;
}

}  // namespace

std::string format_samples(const ResultReader& file, const ShowOptions& options) {
    const std::vector<std::string> tasks = stored_tasks(file);
    if (options.task.empty() && tasks.size() != 1)
        throw UserError(cat("the file holds ", tasks.size(), " tasks: ", join(tasks, ", "),
                            "; expected --task with one of them"));
    const StoredTask task = read_task(file, options.task.empty() ? tasks.front() : options.task);
    const std::vector<double>* correct = correctness(task);
    if (options.only_wrong && !correct)
        throw UserError(
            cat("task ", task.spec.name,
                " has no metric that says right or wrong; --wrong needs acc or exact_match"));

    std::ostringstream out;
    std::int64_t matching = 0;
    for (std::size_t i = 0; i < task.samples.size(); ++i) {
        if (options.doc_id && task.samples[i].doc_id != *options.doc_id) continue;
        if (options.only_wrong && (*correct)[i] != 0) continue;
        if (options.doc_id || matching < options.limit) print_sample(out, task, i);
        ++matching;
    }
    if (options.doc_id && matching == 0 && !options.only_wrong)
        throw UserError(cat("task ", task.spec.name, " has no document ", *options.doc_id,
                            "; it holds ", task.samples.size()));
    if (!options.doc_id && matching > options.limit)
        out << options.limit << " of " << matching << (options.only_wrong ? " wrong" : "")
            << " samples; --limit shows more\n";
    if (matching == 0) out << "no sample matches\n";
    return out.str();
}

}  // namespace muster
