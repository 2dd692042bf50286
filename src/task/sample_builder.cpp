#include "sample_builder.h"

#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/text.h"
#include "prompt.h"

namespace muster {

namespace {

std::set<std::string, std::less<>> columns_of(const std::vector<Value>& rows) {
    std::set<std::string, std::less<>> columns;
    for (const Value& row : rows)
        for (const auto& [name, value] : row.as_object().members()) columns.insert(name);
    return columns;
}

const Value& or_else(const Value& value, const Value& fallback) {
    return value.is_null() ? fallback : value;
}

std::string require_text(const Value& value, const char* field) {
    if (!value.is_string())
        throw UserError(cat(field, ": expected a text, got ", kind_name(value.kind())));
    return value.as_string();
}

/// choices[index] with Python's negative indices.
const std::string& choice_at(const std::vector<std::string>& choices, std::int64_t index,
                             const char* field) {
    const auto count = static_cast<std::int64_t>(choices.size());
    if (index < -count || index >= count)
        throw UserError(cat(field, ": answer index ", index, "; expected 0 to ", count - 1));
    return choices[static_cast<std::size_t>(index < 0 ? index + count : index)];
}

}  // namespace

SampleBuilder::SampleBuilder(const Task::State& state, std::uint64_t fewshot_seed)
    : state_(state),
      spec_(state.spec),
      fields_(state.spec, columns_of(state.documents)),
      sampler_(state.pool(), spec_.fewshot.sampler, fewshot_seed,
               cat("task ", spec_.name, ": num_fewshot ", spec_.num_fewshot, " from ",
                   state.fewshot_source)) {
    for (const MetricSpec& metric : spec_.metrics)
        wants_unconditional_ |= metric.name == "acc_mutual_info";
    try {
        const Object& first = state.documents.front().as_object();
        if (!spec_.doc_to_choice.is_null())
            choices_are_contexts_ = fields_.text(first, spec_.doc_to_text).is_integer();
        const Value target = fields_.target(first, spec_.doc_to_target);
        several_references_ = target.is_array() && !target.as_array().empty();
    } catch (const UserError& error) {
        throw UserError(cat("task ", spec_.name, ": document 0 of split \"", state_.split,
                            "\": ", error.what()));
    }
}

Sample SampleBuilder::build(std::size_t index) {
    try {
        return build_document(index);
    } catch (const UserError& error) {
        const std::string place = cat("task ", spec_.name, ": ");
        const std::string_view what = error.what();
        if (what.starts_with(place)) throw;
        throw UserError(cat(place, "document ", index, " of split \"", state_.split, "\": ", what));
    }
}

Sample SampleBuilder::build_document(std::size_t index) {
    const Value& document = state_.documents[index];
    const Object& doc = document.as_object();
    Sample sample;
    sample.doc_id = static_cast<std::int64_t>(index);
    if (spec_.output_type == OutputType::loglikelihood_rolling) {
        build_rolling(sample, doc);
        return sample;
    }
    const std::string before = preamble(document);
    switch (spec_.output_type) {
        case OutputType::multiple_choice:
            build_choices(sample, doc, before);
            break;
        case OutputType::loglikelihood:
            build_log_likelihood(sample, doc, before);
            break;
        default:
            build_generation(sample, doc, before);
    }
    return sample;
}

std::string SampleBuilder::preamble(const Value& document) {
    std::string prompt = fields_.resolved(document.as_object(), spec_.description, "description");
    const auto count = static_cast<std::size_t>(spec_.num_fewshot);
    for (const Value* example : sampler_.draw(count, state_.drop_tested ? &document : nullptr)) {
        try {
            append_example(prompt, example->as_object());
        } catch (const UserError& error) {
            throw UserError(cat("example from ", state_.fewshot_source, ": ", error.what()));
        }
    }
    return prompt;
}

void SampleBuilder::append_example(std::string& prompt, const Object& example) {
    const FewshotSpec& fewshot = spec_.fewshot;
    const Value question = fields_.text(example, or_else(fewshot.doc_to_text, spec_.doc_to_text));
    const Value& choice_field = or_else(fewshot.doc_to_choice, spec_.doc_to_choice);
    std::vector<std::string> choices;
    if (!choice_field.is_null()) choices = fields_.choices(example, choice_field);
    const Value answer =
        fields_.target(example, or_else(fewshot.doc_to_target, spec_.doc_to_target));

    Turn turn;
    turn.gen_prefix =
        fields_.resolved(example, fewshot.gen_prefix.value_or(spec_.gen_prefix), "gen_prefix");
    turn.target_delimiter = fewshot.target_delimiter.value_or(spec_.target_delimiter);
    turn.fewshot_delimiter = fewshot.fewshot_delimiter.value_or(spec_.fewshot_delimiter);
    if (choices_are_contexts_ && question.is_integer()) {
        turn.question = choice_at(choices, question.as_integer(), "doc_to_text");
        choices.clear();  // the answer is the text itself
    } else {
        turn.question = require_text(question, "doc_to_text");
    }
    if (answer.is_integer() && !choices.empty()) {
        turn.answer = choice_at(choices, answer.as_integer(), "doc_to_target");
    } else if (answer.is_array()) {
        if (answer.as_array().empty())
            throw UserError("doc_to_target: an empty list of references");
        turn.answer = require_text(answer.as_array().front(), "doc_to_target");
    } else if (!answer.is_null()) {
        turn.answer = require_text(answer, "doc_to_target");
    }
    append_turn(prompt, turn);
}

void SampleBuilder::report_doubtful_golds() const {
    if (doubtful_golds_ > 0)
        warn(cat(
            "task ", spec_.name, ": ", doubtful_golds_,
            " documents have a gold answer that is none of their choices; they count as wrong"));
}

std::vector<std::int64_t> SampleBuilder::gold_of(const Value& gold,
                                                 const std::vector<std::string>& choices) {
    constexpr std::int64_t kNone = -100;  // as in lm-eval
    const auto checked = [&](std::int64_t index) {
        return index >= 0 && index < static_cast<std::int64_t>(choices.size()) ? index : kNone;
    };
    std::vector<std::int64_t> indices;
    if (gold.is_array()) {
        for (const Value& element : gold.as_array()) {
            if (!element.is_integer())
                throw UserError(cat("doc_to_target: expected answer indices in the list, got ",
                                    kind_name(element.kind())));
            indices.push_back(checked(element.as_integer()));
        }
    } else if (gold.is_integer()) {
        indices.push_back(checked(gold.as_integer()));
    } else if (gold.is_real() && gold.as_real() >= 0 &&
               gold.as_real() < static_cast<double>(choices.size()) &&
               gold.as_real() == static_cast<double>(static_cast<std::int64_t>(gold.as_real()))) {
        indices.push_back(static_cast<std::int64_t>(
            gold.as_real()));  // a CSV column of integers with empty cells
    } else if (gold.is_string()) {
        for (std::size_t i = 0; i < choices.size() && indices.empty(); ++i)
            if (choices[i] == gold.as_string()) indices.push_back(static_cast<std::int64_t>(i));
    }
    if (indices.empty()) indices.push_back(kNone);
    for (std::int64_t index : indices)
        if (index == kNone) {
            ++doubtful_golds_;
            break;
        }
    return indices;
}

}  // namespace muster
