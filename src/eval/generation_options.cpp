#include "generation_options.h"

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

void check_offered(const TaskSpec& task, const GenerationDefaults& defaults) {
    if (!defaults.problems.empty()) throw UserError(defaults.problems);
    std::vector<std::string> keys = defaults.not_offered;
    if (task.generation.do_sample)
        keys.insert(keys.end(), defaults.not_offered_when_sampling.begin(),
                    defaults.not_offered_when_sampling.end());
    if (keys.empty()) return;
    throw UserError(cat(defaults.place, ": ", join(keys, ", "),
                        keys.size() == 1 ? " changes" : " change", " what task ", task.name,
                        " generates and is not offered; expected a checkpoint without: remove it, "
                        "or take nothing from this file by --generation-defaults none"));
}

}  // namespace

SamplingOptions sampling_of(const TaskSpec& task, const GenerationDefaults& defaults) {
    check_offered(task, defaults);
    const GenerationSpec& spec = task.generation;
    SamplingOptions sampling;
    sampling.repetition_penalty = spec.repetition_penalty.value_or(defaults.repetition_penalty);
    if (!spec.do_sample) return sampling;
    // A task that names a temperature of 0 and is told to sample by the run.
    const double temperature = spec.temperature.value_or(0);
    sampling.temperature = temperature > 0 ? temperature : defaults.temperature;
    sampling.top_k = spec.top_k.value_or(defaults.top_k);
    sampling.top_p = spec.top_p.value_or(defaults.top_p);
    sampling.min_p = spec.min_p.value_or(defaults.min_p);
    return sampling;
}

std::string length_warning(const GenerationDefaults& defaults) {
    if (!defaults.max_new_tokens) return "";
    return cat(defaults.place, ": max_new_tokens ", *defaults.max_new_tokens,
               " is not used: a task's max_gen_toks says how long its answers may be "
               "(lm-evaluation-harness with transformers 5 goes by the checkpoint here)");
}

std::string describe(const SamplingOptions& sampling) {
    std::string text = sampling.greedy() ? "greedy" : cat("temperature ", sampling.temperature);
    if (sampling.top_k > 0) text += cat(", top-k ", sampling.top_k);
    if (sampling.top_p < 1) text += cat(", top-p ", sampling.top_p);
    if (sampling.min_p > 0) text += cat(", min-p ", sampling.min_p);
    if (sampling.repetition_penalty != 1)
        text += cat(", repetition penalty ", sampling.repetition_penalty);
    return text;
}

Object generation_kwargs(const GenerationSpec& spec, const SamplingOptions& sampling) {
    Object kwargs;
    kwargs.set("until", Array(spec.until.begin(), spec.until.end()));
    kwargs.set("max_gen_toks", spec.max_gen_toks);
    kwargs.set("do_sample", !sampling.greedy());
    kwargs.set("temperature", sampling.temperature);
    kwargs.set("top_k", sampling.top_k);
    kwargs.set("top_p", sampling.top_p);
    kwargs.set("min_p", sampling.min_p);
    kwargs.set("repetition_penalty", sampling.repetition_penalty);
    return kwargs;
}

}  // namespace muster
