#pragma once
// Documents → samples: lm-evaluation-harness 0.4.13, ConfigurableTask.fewshot_context and
// construct_requests.

#include <string>
#include <vector>

#include "fewshot.h"
#include "fields.h"
#include "task_state.h"

namespace muster {

class SampleBuilder {
 public:
    /// `state` must outlive the builder. Looks at the first document, as lm-eval does, to see
    /// whether the choices are contexts and whether a document has several references.
    SampleBuilder(const Task::State& state, std::uint64_t fewshot_seed);

    /// The sample of document `index`. Must be called for 0, 1, 2, … in order.
    /// Throws UserError naming task, field and document.
    Sample build(std::size_t index);
    /// Warns once if documents had a gold answer that is none of their choices; they count as
    /// wrong.
    void report_doubtful_golds() const;

 private:
    Sample build_document(std::size_t index);
    /// Description and examples: everything before the tested question.
    std::string preamble(const Value& document);
    void append_example(std::string& prompt, const Object& example);
    void build_choices(Sample& sample, const Object& doc, const std::string& before);
    void build_generation(Sample& sample, const Object& doc, const std::string& before);
    void build_log_likelihood(Sample& sample, const Object& doc, const std::string& before);
    void build_rolling(Sample& sample, const Object& doc);
    std::string question_prompt(const Object& doc, const std::string& before);
    std::vector<std::int64_t> gold_of(const Value& gold, const std::vector<std::string>& choices);

    const Task::State& state_;
    const TaskSpec& spec_;
    Fields fields_;
    FewshotSampler sampler_;
    bool choices_are_contexts_ = false;
    bool several_references_ = false;
    bool wants_unconditional_ = false;
    std::size_t doubtful_golds_ = 0;
};

}  // namespace muster
