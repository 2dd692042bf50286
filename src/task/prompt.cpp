#include "prompt.h"

#include "muster/base/utf8.h"
#include "muster/text/python_string.h"

namespace muster {

namespace {

bool starts_with_space(std::string_view text) {
    std::size_t pos = 0;
    return !text.empty() && is_python_space(next_code_point(text, pos));
}

bool ends_with_space(std::string_view text) {
    return !text.empty() && python_rstrip(text).size() != text.size();
}

}  // namespace

bool needs_delimiter(std::string_view before, std::string_view after) {
    return !before.empty() && !after.empty() && !ends_with_space(before) &&
           !starts_with_space(after);
}

void append_turn(std::string& prompt, const Turn& turn) {
    const bool has_answer = turn.answer && !turn.answer->empty();
    prompt += turn.question;
    if (turn.gen_prefix.empty() ? has_answer : needs_delimiter(turn.question, turn.gen_prefix))
        prompt += turn.target_delimiter;
    prompt += turn.gen_prefix;
    if (!has_answer) return;
    if (needs_delimiter(turn.gen_prefix, *turn.answer)) prompt += ' ';
    prompt += *turn.answer;
    prompt += turn.fewshot_delimiter;
}

}  // namespace muster
