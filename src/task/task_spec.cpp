// The keys are those of lm-evaluation-harness 0.4.13 (lm_eval/config/task.py). A key that needs
// Python is a problem that names it; a key that cannot change a score is accepted; everything else
// is refused.
#include "muster/task/task_spec.h"

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "task_spec_parts.h"

namespace muster {

namespace {

/// Keys whose only values are Python functions or classes, or that need other Python packages.
const std::vector<std::pair<std::string_view, std::string_view>> kPythonKeys = {
    {"class", "the task is a Python class"},
    {"custom_dataset", "the dataset is made by a Python function"},
    {"process_docs", "documents are rewritten by a Python function"},
    {"process_results", "answers are scored by a Python function"},
    {"use_prompt", "prompts come from the Python package promptsource"},
};

/// Problems for every `!function` below `value`, at the top-level key that holds it.
bool holds_function(const Value& value, std::string& function) {
    if (const Value* name = value.find("!function")) {
        function = name->is_string() ? name->as_string() : "?";
        return true;
    }
    if (value.is_array())
        for (const Value& element : value.as_array())
            if (holds_function(element, function)) return true;
    if (value.is_object())
        for (const auto& [key, member] : value.as_object().members())
            if (holds_function(member, function)) return true;
    return false;
}

/// `root` without the members that need Python; they are recorded in `problems`.
Value without_python(const Value& root,
                     std::vector<std::pair<std::string, std::string>>& problems) {
    if (!root.is_object()) return root;
    Object kept;
    for (const auto& [key, value] : root.as_object().members()) {
        std::string function;
        if (holds_function(value, function)) {
            problems.emplace_back(
                key, cat("needs Python (!function ", function, "), which muster does not run"));
            continue;
        }
        bool python = false;
        for (const auto& [name, why] : kPythonKeys)
            if (key == name && !value.is_null()) {
                problems.emplace_back(key, cat("needs Python, which muster does not run: ", why));
                python = true;
            }
        if (!python) kept.set(key, value);
    }
    return Value(std::move(kept));
}

OutputType output_type_of(const std::string& name) {
    for (OutputType type : {OutputType::multiple_choice, OutputType::loglikelihood,
                            OutputType::loglikelihood_rolling})
        if (name == name_of(type)) return type;
    return OutputType::generate_until;
}

void ignore_harmless(ConfigReader& reader) {
    // Decontamination and bookkeeping: no score depends on them.
    for (std::string_view key : {"should_decontaminate", "doc_to_decontamination_query", "recipe"})
        reader.ignore(key);
    for (const auto& [key, why] : kPythonKeys) reader.ignore(key);
    for (std::string_view key : {"doc_to_image", "doc_to_audio"})
        if (!reader.value(key).is_null()) reader.problem(key, "images and audio are not read yet");
    if (reader.boolean_or("unsafe_code", false))
        reader.problem("unsafe_code", "running generated code is not supported");
}

void read_fields(ConfigReader& reader, TaskSpec& spec) {
    spec.doc_to_text = read_field(reader, "doc_to_text", false, false);
    spec.doc_to_target = read_field(reader, "doc_to_target", true, false);
    spec.doc_to_choice = read_field(reader, "doc_to_choice", true, true);
    if (spec.doc_to_target.is_null())
        reader.problem("doc_to_target",
                       "missing; expected a template, a column name, an integer or a list");
    if (spec.doc_to_text.is_null() && spec.output_type != OutputType::loglikelihood_rolling)
        reader.problem("doc_to_text", "missing; expected a template or a column name");
    if (spec.output_type == OutputType::multiple_choice && spec.doc_to_choice.is_null() &&
        !reader.has("doc_to_choice"))
        reader.problem("doc_to_choice", "missing; output_type multiple_choice needs it");
    spec.description = reader.string_or("description", "");
    spec.target_delimiter = reader.string_or("target_delimiter", " ");
    spec.fewshot_delimiter = reader.string_or("fewshot_delimiter", "\n\n");
    spec.gen_prefix = reader.string_or("gen_prefix", "");
}

}  // namespace

std::string_view name_of(OutputType type) {
    switch (type) {
        case OutputType::multiple_choice:
            return "multiple_choice";
        case OutputType::loglikelihood:
            return "loglikelihood";
        case OutputType::loglikelihood_rolling:
            return "loglikelihood_rolling";
        case OutputType::generate_until:
            return "generate_until";
    }
    throw InternalError("output type out of range");
}

Value read_field(ConfigReader& reader, std::string_view key, bool allow_list, bool allow_object) {
    Value value = reader.value(key);
    const bool fits = value.is_null() || value.is_string() || value.is_integer() ||
                      (allow_list && value.is_array()) || (allow_object && value.is_object());
    if (!fits)
        reader.problem(key, cat("expected a template, a column name", allow_list ? ", a list" : "",
                                " or an integer, got ", kind_name(value.kind())));
    if (value.is_array() || value.is_object()) {
        Array elements;
        if (value.is_array())
            elements = value.as_array();
        else
            for (const auto& [name, member] : value.as_object().members())
                elements.push_back(member);
        for (const Value& element : elements)
            if (!element.is_string() && !(key == "doc_to_target" && element.is_integer())) {
                reader.problem(
                    key,
                    cat("expected texts in the list, got ", kind_name(element.kind()),
                        element.is_bool() ? " (in YAML yes, no, on and off need quotes)" : ""));
                break;
            }
    }
    return fits ? value : Value();
}

TaskSpec read_task_spec(const Value& resolved, const std::string& source_file) {
    std::vector<std::pair<std::string, std::string>> python;
    ConfigReader reader(without_python(resolved, python), source_file);
    TaskSpec spec;
    spec.source_file = source_file;
    spec.resolved = resolved;
    spec.name = reader.string("task");
    spec.alias = reader.string_or("task_alias", spec.name);
    spec.tags = reader.strings_or("tag", {});
    spec.output_type = output_type_of(reader.choice_or(
        "output_type", "generate_until",
        {"multiple_choice", "loglikelihood", "loglikelihood_rolling", "generate_until"}));
    for (const auto& [key, message] : python) {
        reader.problem(key, message);
        reader.ignore(key);
    }
    const bool complete =
        python.empty();  // else a field that needs Python would also be reported as missing
    read_dataset(reader, spec);
    read_fewshot(reader, spec);
    if (complete)
        read_fields(reader, spec);
    else
        for (std::string_view key : {"doc_to_text", "doc_to_target", "doc_to_choice", "description",
                                     "target_delimiter", "fewshot_delimiter", "gen_prefix"})
            reader.ignore(key);
    spec.num_fewshot = reader.integer_or("num_fewshot", 0, {.min = 0, .max = 100000});
    spec.repeats = reader.integer_or("repeats", 1, {.min = 1, .max = 1000000});
    if (spec.output_type != OutputType::generate_until) spec.repeats = 1;  // the same score again
    read_generation(reader, spec);
    read_filters(reader, spec);
    read_metrics(reader, spec);
    spec.metadata = reader.value("metadata");
    ignore_harmless(reader);
    reader.finish();
    return spec;
}

}  // namespace muster
