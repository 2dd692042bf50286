// dataset_path, dataset_name, dataset_kwargs, the splits and the few-shot settings of a task file.
#include "muster/base/text.h"
#include "task_spec_parts.h"

namespace muster {

namespace {

bool is_text_list(const Value& value) {
    if (!value.is_array()) return false;
    for (const Value& element : value.as_array())
        if (!element.is_string()) return false;
    return true;
}

bool is_pattern(const Value& value) {
    return value.is_string() || is_text_list(value);
}

void check_data_files(ConfigReader& kwargs, const Value& files) {
    if (files.is_null() || is_pattern(files)) return;
    if (!files.is_object()) {
        kwargs.problem("data_files",
                       cat("expected a pattern, a list of patterns or {split: pattern}, got ",
                           kind_name(files.kind())));
        return;
    }
    for (const auto& [split, pattern] : files.as_object().members())
        if (!is_pattern(pattern))
            kwargs.problem("data_files", cat("split \"", split,
                                             "\": expected a pattern or a list of patterns, got ",
                                             kind_name(pattern.kind())));
}

void read_separator(ConfigReader& kwargs, DatasetOptions& options) {
    for (std::string_view key : {"sep", "delimiter"})
        if (auto text = kwargs.optional_string(key)) {
            if (text->size() != 1 || *text == "\"" || *text == "\n" || *text == "\r")
                kwargs.problem(key, "expected one character other than a quote or a line end");
            else
                options.separator = text->front();
        }
}

void read_features(ConfigReader& kwargs, DatasetOptions& options) {
    ConfigReader features = kwargs.object("features");
    if (!features.root().is_object()) return;
    for (const auto& [column, unused] : features.root().as_object().members())
        options.features.set(
            column, features.choice_or(column, "string", {"string", "int64", "float64", "bool"}));
}

void read_options(ConfigReader& kwargs, TaskSpec& spec) {
    DatasetOptions& options = spec.dataset_options;
    spec.data_files = kwargs.value("data_files");
    check_data_files(kwargs, spec.data_files);
    options.data_dir = kwargs.string_or("data_dir", "");
    options.field = kwargs.string_or("field", "");
    options.column_names = kwargs.strings_or("column_names", kwargs.strings_or("names", {}));
    // `header: null` says that the first record is data; an integer other than 0 would skip
    // records.
    if (kwargs.has("header") && kwargs.value("header").is_null())
        options.has_header = false;
    else
        kwargs.integer_or("header", 0, {.min = 0, .max = 0});
    if (!options.has_header && options.column_names.empty())
        kwargs.problem("header", "null means that the files have no header: give column_names too");
    // pandas: names without a word on the header mean that there is none.
    if (!options.column_names.empty() && !kwargs.has("header")) options.has_header = false;
    read_separator(kwargs, options);
    options.keep_default_na = kwargs.boolean_or("keep_default_na", true);
    read_features(kwargs, options);
    kwargs.choice_or("encoding", "utf-8", {"utf-8", "utf8", "utf-8-sig", "UTF-8"});
    // About fetching from the hub, which muster never does.
    for (std::string_view key : {"trust_remote_code", "revision", "cache_dir", "download_mode",
                                 "verification_mode", "streaming", "token"})
        kwargs.ignore(key);
}

}  // namespace

void read_dataset(ConfigReader& reader, TaskSpec& spec) {
    spec.dataset_path = reader.string_or("dataset_path", "");
    if (spec.dataset_path.empty())
        reader.problem("dataset_path", "missing; expected json, csv, tsv or the name of a dataset");
    spec.dataset_name = reader.string_or("dataset_name", "");
    ConfigReader kwargs = reader.object("dataset_kwargs");
    read_options(kwargs, spec);
    spec.training_split = reader.string_or("training_split", "");
    spec.validation_split = reader.string_or("validation_split", "");
    spec.test_split = reader.string_or("test_split", "");
    spec.fewshot_split = reader.string_or("fewshot_split", "");
    if (spec.training_split.empty() && spec.validation_split.empty() && spec.test_split.empty())
        reader.problem("test_split",
                       "missing; expected test_split, or validation_split to evaluate on");
}

void read_fewshot(ConfigReader& reader, TaskSpec& spec) {
    ConfigReader config = reader.object("fewshot_config");
    FewshotSpec& fewshot = spec.fewshot;
    fewshot.sampler = config.choice_or("sampler", "default", {"default", "first_n"});
    fewshot.split = config.string_or("split", "");
    const Value samples = config.value("samples");
    if (samples.is_array()) {
        for (const Value& sample : samples.as_array())
            if (!sample.is_object()) {
                config.problem("samples", cat("expected a list of objects, got ",
                                              kind_name(sample.kind()), " in it"));
                break;
            }
        fewshot.samples = samples.as_array();
    } else if (!samples.is_null()) {
        config.problem("samples",
                       cat("expected a list of objects, got ", kind_name(samples.kind())));
    }
    fewshot.doc_to_text = read_field(config, "doc_to_text", false, false);
    fewshot.doc_to_target = read_field(config, "doc_to_target", true, false);
    fewshot.doc_to_choice = read_field(config, "doc_to_choice", true, true);
    fewshot.gen_prefix = config.optional_string("gen_prefix");
    fewshot.fewshot_delimiter = config.optional_string("fewshot_delimiter");
    fewshot.target_delimiter = config.optional_string("target_delimiter");
    if (!config.value("process_docs").is_null())
        config.problem("process_docs", "needs Python, which muster does not run");
    if (!config.value("fewshot_indices").is_null())
        config.problem("fewshot_indices",
                       "lm-evaluation-harness reads this key and never uses it; "
                       "write the examples under samples instead");
}

}  // namespace muster
