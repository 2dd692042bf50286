#pragma once
// Questions and answers put together as text: lm-evaluation-harness 0.4.13,
// ConfigurableTask.build_qa_turn without a chat template.

#include <optional>
#include <string>
#include <string_view>

namespace muster {

/// One question, and its answer for an example.
struct Turn {
    std::string question;
    std::optional<std::string> answer;  ///< nullopt for the tested question
    std::string gen_prefix;             ///< the beginning of the answer, "" if none
    std::string target_delimiter = " ";
    std::string fewshot_delimiter = "\n\n";
};

/// Appends the turn to the prompt.
void append_turn(std::string& prompt, const Turn& turn);
/// True if a delimiter belongs between the two texts: both there, and no white space where they
/// meet.
bool needs_delimiter(std::string_view before, std::string_view after);

}  // namespace muster
