// lm-evaluation-harness 0.4.13, lm_eval/api/metrics.py, exact_match_hf_evaluate: the patterns
// first, on the text as it is, then lower case, ASCII punctuation and ASCII digits.
#include "muster/task/answer_normalizer.h"

#include "muster/base/error.h"
#include "muster/config/reader.h"
#include "muster/text/python_string.h"
#include "muster/text/regex.h"

namespace muster {

namespace {

void remove_characters(std::string& text, std::string_view characters) {
    std::erase_if(text, [&](char c) { return characters.find(c) != std::string_view::npos; });
}

}  // namespace

struct AnswerNormalizer::State {
    std::vector<Regex> regexes_to_ignore;
    bool ignore_case = false, ignore_punctuation = false, ignore_numbers = false;
};

AnswerNormalizer::AnswerNormalizer(const Object& options, const std::string& place)
    : state_(std::make_unique<State>()) {
    ConfigReader reader(Value(options), place);
    state_->ignore_case = reader.boolean_or("ignore_case", false);
    state_->ignore_punctuation = reader.boolean_or("ignore_punctuation", false);
    state_->ignore_numbers = reader.boolean_or("ignore_numbers", false);
    for (const std::string& pattern : reader.strings_or("regexes_to_ignore", {})) {
        try {
            state_->regexes_to_ignore.emplace_back(pattern);
        } catch (const UserError& error) {
            reader.problem("regexes_to_ignore", error.what());
        }
    }
    reader.finish();
}
AnswerNormalizer::~AnswerNormalizer() = default;
AnswerNormalizer::AnswerNormalizer(AnswerNormalizer&&) noexcept = default;
AnswerNormalizer& AnswerNormalizer::operator=(AnswerNormalizer&&) noexcept = default;

std::string AnswerNormalizer::normalized(const std::string& text) const {
    std::string result = text;
    for (const Regex& regex : state_->regexes_to_ignore) {
        try {
            result = regex.replace(result, "");
        } catch (const UserError&) {  // too many steps on this text: it stays as it is
        }
    }
    if (state_->ignore_case) result = python_lower(result);
    if (state_->ignore_punctuation)
        remove_characters(result, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~");  // string.punctuation
    if (state_->ignore_numbers) remove_characters(result, "0123456789");
    return result;
}

}  // namespace muster
