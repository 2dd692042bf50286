// generation_kwargs, filter_list and metric_list of a task file.
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/task/filter.h"
#include "task_spec_parts.h"

namespace muster {

namespace {

/// Defaults of lm_eval/api/registry.py, DEFAULT_METRIC_REGISTRY.
std::vector<std::string> default_metrics(OutputType type) {
    switch (type) {
        case OutputType::multiple_choice:
            return {"acc", "acc_norm"};
        case OutputType::loglikelihood:
            return {"perplexity", "acc"};
        case OutputType::loglikelihood_rolling:
            return {"word_perplexity", "byte_perplexity", "bits_per_byte"};
        case OutputType::generate_until:
            return {"exact_match"};
    }
    throw InternalError("output type out of range");
}

bool higher_is_better_by_default(const std::string& metric) {
    return !metric.ends_with("perplexity") && metric != "bits_per_byte" && metric != "brier_score";
}

Object options_of(const ConfigReader& reader, std::initializer_list<std::string_view> own_keys) {
    Object options;
    if (!reader.root().is_object()) return options;
    for (const auto& [key, value] : reader.root().as_object().members()) {
        bool own = false;
        for (std::string_view name : own_keys) own = own || key == name;
        if (!own) options.set(key, value);
    }
    return options;
}

}  // namespace

void read_generation(ConfigReader& reader, TaskSpec& spec) {
    const bool given =
        reader.has("generation_kwargs") && !reader.value("generation_kwargs").is_null();
    ConfigReader kwargs = reader.object("generation_kwargs");
    GenerationSpec& generation = spec.generation;
    generation.until = kwargs.strings_or("until", {});
    // lm-eval: `until` falls back to the few-shot delimiter where it is absent, not where it is an
    // empty list.
    if (!given || !kwargs.has("until")) generation.until = {spec.fewshot_delimiter};
    std::erase(generation.until, "");
    bool have_length = false;
    for (std::string_view key :
         {"max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"}) {
        const auto length = kwargs.optional_integer(key, {.min = 1, .max = 1 << 24});
        if (length && !have_length) generation.max_gen_toks = *length;
        have_length = have_length || length.has_value();
    }
    generation.temperature = kwargs.optional_real("temperature", {.min = 0, .max = 1e6});
    const std::optional<bool> do_sample = kwargs.optional_boolean("do_sample");
    generation.do_sample = do_sample.value_or(generation.temperature.value_or(0) > 0);
    if (generation.do_sample && generation.temperature == 0.0)
        kwargs.problem("temperature", "do_sample is true: expected a temperature above 0");
    generation.top_p = kwargs.optional_real("top_p", {.min = 0, .max = 1});
    generation.min_p = kwargs.optional_real("min_p", {.min = 0, .max = 1});
    generation.top_k = kwargs.optional_integer("top_k", {.min = 0});
    generation.repetition_penalty =
        kwargs.optional_real("repetition_penalty", {.min = 1e-6, .max = 1e6});
    kwargs.integer_or("num_beams", 1, {.min = 1, .max = 1});  // beam search is not offered
}

void read_filters(ConfigReader& reader, TaskSpec& spec) {
    for (ConfigReader& entry : reader.objects("filter_list")) {
        FilterSpec filter;
        filter.name = entry.string("name");
        for (ConfigReader& step : entry.objects("filter")) {
            filter.steps.push_back({step.string("function"), options_of(step, {"function"})});
            step.ignore_rest();  // check_filter() knows each function's options
        }
        if (filter.steps.empty())
            entry.problem("filter", "missing; expected a list of {function: …}");
        for (const FilterSpec& other : spec.filters)
            if (other.name == filter.name)
                entry.problem("name", cat("\"", filter.name, "\" is used twice"));
        try {
            check_filter(filter, "filter");
        } catch (const UserError& error) {
            entry.problem("filter", error.what());
        }
        if (spec.output_type != OutputType::generate_until)
            for (const FilterStep& step : filter.steps)
                if (step.function != "take_first")
                    entry.problem("filter", cat("function ", step.function,
                                                " works on generated text; output_type is ",
                                                name_of(spec.output_type)));
        spec.filters.push_back(std::move(filter));
    }
    if (spec.filters.empty()) spec.filters = {{"none", {{"take_first", {}}}}};
}

void read_metrics(ConfigReader& reader, TaskSpec& spec) {
    for (ConfigReader& entry : reader.objects("metric_list")) {
        MetricSpec metric;
        metric.name = entry.string("metric");
        metric.aggregation = entry.string_or("aggregation", "");
        metric.higher_is_better =
            entry.boolean_or("higher_is_better", higher_is_better_by_default(metric.name));
        if (entry.boolean_or("hf_evaluate", false) && metric.name != "exact_match")
            entry.problem(
                "hf_evaluate",
                "metrics of the Python package evaluate are not available, exact_match apart");
        for (const MetricSpec& other : spec.metrics)
            if (other.name == metric.name)
                entry.problem("metric", cat("\"", metric.name, "\" is listed twice"));
        metric.options =
            options_of(entry, {"metric", "aggregation", "higher_is_better", "hf_evaluate"});
        entry.ignore_rest();  // check_metrics() knows each metric's options
        spec.metrics.push_back(std::move(metric));
    }
    if (spec.metrics.empty())
        for (const std::string& name : default_metrics(spec.output_type))
            spec.metrics.push_back({name, "", higher_is_better_by_default(name), {}});
}

}  // namespace muster
