#pragma once
// A task file in lm-evaluation-harness's schema, read strictly. docs/tasks.md lists the keys.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "muster/config/value.h"

namespace muster {

enum class OutputType { multiple_choice, loglikelihood, loglikelihood_rolling, generate_until };
std::string_view name_of(OutputType type);

/// One step of a filter pipeline: {function: regex, regex_pattern: …}.
struct FilterStep {
    std::string function;
    Object options;
};
struct FilterSpec {
    std::string name;
    std::vector<FilterStep> steps;
};

struct MetricSpec {
    std::string name;         ///< acc, exact_match, …
    std::string aggregation;  ///< mean, perplexity, …; "" means the metric's own
    bool higher_is_better = true;
    Object options;  ///< ignore_case, regexes_to_ignore, …
};

struct GenerationSpec {
    std::vector<std::string> until;
    std::int64_t max_gen_toks = 256;
    bool do_sample = false;
    // Absent: as the checkpoint has it (src/eval/generation_options.h).
    std::optional<double> temperature, top_p, min_p, repetition_penalty;
    std::optional<std::int64_t> top_k;
};

struct FewshotSpec {
    std::string sampler = "default";  ///< default | first_n
    std::string split;                ///< "" → the task's own order of preference
    std::optional<Array> samples;     ///< fixed examples instead of a split
    // Overrides of the task's own fields for the examples; null if absent.
    Value doc_to_text, doc_to_target, doc_to_choice;
    std::optional<std::string> gen_prefix, fewshot_delimiter, target_delimiter;
};

/// How the cells of data files are read: the rest of dataset_kwargs, named as the `datasets`
/// library names them.
struct DatasetOptions {
    std::string data_dir;                   ///< folder put before relative patterns
    std::string field;                      ///< json: the member that holds the rows
    std::vector<std::string> column_names;  ///< csv: names instead of (or without) a header
    bool has_header = true;                 ///< csv: false for `header: null`
    char separator = '\0';                  ///< csv: '\0' means by kind: comma, or tab for tsv
    bool keep_default_na = true;  ///< csv: read "", NA, null, None, … as null, as pandas does
    Object features;  ///< csv: {column: string | int64 | float64 | bool} instead of guessing
};

struct TaskSpec {
    std::string name, alias, source_file;
    std::vector<std::string> tags;
    OutputType output_type = OutputType::generate_until;

    std::string dataset_path;  ///< json | csv | tsv (case as in the file)
    std::string dataset_name;
    Value data_files;  ///< dataset_kwargs.data_files: a glob, a list, or {split: glob or list}
    DatasetOptions dataset_options;
    std::string training_split, validation_split, test_split, fewshot_split;  ///< "" if absent

    // Templates, column names, constants or lists, as in the file; null if absent.
    Value doc_to_text, doc_to_target, doc_to_choice;
    std::string description, target_delimiter = " ", fewshot_delimiter = "\n\n", gen_prefix;
    FewshotSpec fewshot;
    std::int64_t num_fewshot = 0;
    std::int64_t repeats = 1;
    GenerationSpec generation;
    std::vector<FilterSpec> filters;  ///< never empty: the default is {none: [take_first]}
    std::vector<MetricSpec> metrics;  ///< never empty: lm-eval's defaults for the output type
    Value metadata;                   ///< metadata.version …
    Value resolved;  ///< the whole task as one object after includes and overrides, for provenance
};

struct GroupMetricSpec {
    std::string metric;
    bool weight_by_size = true;
    std::vector<std::string> filters;  ///< empty: all filters that the members share
};

/// A group or tag: aggregates over the leaf tasks below it.
struct GroupSpec {
    std::string name, alias;
    std::vector<std::string> members;  ///< names of tasks and groups
    std::vector<GroupMetricSpec> aggregates;
    Value metadata;
};

/// Reads one task from its resolved object. Throws UserError listing every unknown or ill-typed
/// key; `!function` values and keys that need Python are named as not runnable.
TaskSpec read_task_spec(const Value& resolved, const std::string& source_file);

}  // namespace muster
