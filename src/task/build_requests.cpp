// The requests of each output type: lm-evaluation-harness 0.4.13,
// ConfigurableTask.construct_requests.
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/text/python_string.h"
#include "prompt.h"
#include "sample_builder.h"

namespace muster {

namespace {

std::string require_text(const Value& value, const char* field) {
    if (!value.is_string())
        throw UserError(cat(field, ": expected a text, got ", kind_name(value.kind())));
    return value.as_string();
}

/// len(re.split(r"\s+", text)): runs of white space, also at the ends, plus one.
std::int64_t count_words(std::string_view text) {
    std::int64_t words = 1;
    bool in_space = false;
    for (std::size_t pos = 0; pos < text.size();) {
        const bool space = is_python_space(next_code_point(text, pos));
        if (space && !in_space) ++words;
        in_space = space;
    }
    return words;
}

/// The text of the first right choice, or "".
std::string target_text(const std::vector<std::string>& choices,
                        const std::vector<std::int64_t>& gold) {
    for (std::int64_t index : gold)
        if (index >= 0) return choices[static_cast<std::size_t>(index)];
    return "";
}

}  // namespace

std::string SampleBuilder::question_prompt(const Object& doc, const std::string& before) {
    Turn turn;
    turn.question = require_text(fields_.text(doc, spec_.doc_to_text), "doc_to_text");
    turn.gen_prefix = fields_.prefix(doc, spec_.gen_prefix);
    turn.target_delimiter = spec_.target_delimiter;
    std::string prompt = before;
    append_turn(prompt, turn);
    return prompt;
}

void SampleBuilder::build_choices(Sample& sample, const Object& doc, const std::string& before) {
    sample.choices = fields_.choices(doc, spec_.doc_to_choice);
    const Value target = fields_.target(doc, spec_.doc_to_target);
    if (choices_are_contexts_) {
        const Value question = fields_.text(doc, spec_.doc_to_text);
        if (!question.is_integer())
            throw UserError(
                "doc_to_text: expected an answer index, as in the first document, got a text");
        sample.gold = gold_of(question, sample.choices);
        sample.target = require_text(target, "doc_to_target");
        for (const std::string& choice : sample.choices) {
            Turn turn{choice, std::nullopt, fields_.prefix(doc, spec_.gen_prefix), "", ""};
            std::string context = before;
            append_turn(context, turn);
            sample.requests.push_back({std::move(context), spec_.target_delimiter + sample.target});
        }
        sample.prompt = sample.requests.front().context;
    } else {
        sample.prompt = question_prompt(doc, before);
        sample.gold = gold_of(target, sample.choices);
        sample.target = target_text(sample.choices, sample.gold);
        for (const std::string& choice : sample.choices)
            sample.requests.push_back({sample.prompt, spec_.target_delimiter + choice});
    }
    sample.targets = {sample.target};
    if (wants_unconditional_)
        for (const std::string& choice : sample.choices)
            sample.requests.push_back({"", spec_.target_delimiter + choice});
}

void SampleBuilder::build_log_likelihood(Sample& sample, const Object& doc,
                                         const std::string& before) {
    sample.prompt = question_prompt(doc, before);
    // No delimiter: the target brings its own (lm_eval/api/task.py, construct_requests).
    sample.target = require_text(fields_.target(doc, spec_.doc_to_target), "doc_to_target");
    if (sample.target.empty()) throw UserError("doc_to_target: empty; expected a text to score");
    sample.targets = {sample.target};
    sample.requests = {{sample.prompt, sample.target}};
}

void SampleBuilder::build_rolling(Sample& sample, const Object& doc) {
    sample.target = require_text(fields_.target(doc, spec_.doc_to_target), "doc_to_target");
    sample.prompt = sample.target;
    sample.targets = {sample.target};
    sample.num_words = count_words(sample.target);
    sample.num_bytes = static_cast<std::int64_t>(sample.target.size());
    sample.requests = {{"", sample.target}};
}

void SampleBuilder::build_generation(Sample& sample, const Object& doc, const std::string& before) {
    sample.prompt = question_prompt(doc, before);
    const Value target = fields_.target(doc, spec_.doc_to_target);
    if (!spec_.doc_to_choice.is_null()) {
        sample.choices = fields_.choices(doc, spec_.doc_to_choice);
        if (!target.is_integer())
            throw UserError(
                cat("doc_to_target: expected an answer index, since doc_to_choice is set, got ",
                    kind_name(target.kind())));
        sample.gold = gold_of(target, sample.choices);
        if (sample.gold.front() < 0)
            throw UserError(cat("doc_to_target: answer index ", target.as_integer(),
                                "; expected 0 to ", sample.choices.size() - 1));
        sample.targets = {target_text(sample.choices, sample.gold)};
    } else if (several_references_ && target.is_array()) {
        for (const Value& reference : target.as_array())
            sample.targets.push_back(python_str(reference));
    } else if (target.is_null()) {
        throw UserError("doc_to_target: null; expected the right answer");
    } else {
        sample.targets = {python_str(target)};
    }
    if (!sample.targets.empty()) sample.target = sample.targets.front();
    sample.requests = {{sample.prompt, ""}};
}

}  // namespace muster
