#pragma once
// Answers made comparable before they are compared: the options of lm-evaluation-harness's
// exact_match.

#include <memory>
#include <string>

#include "muster/config/value.h"

namespace muster {

class AnswerNormalizer {
 public:
    /// Reads regexes_to_ignore, ignore_case, ignore_punctuation and ignore_numbers. Throws
    /// UserError at `place` for other options and for values of the wrong kind.
    AnswerNormalizer(const Object& options, const std::string& place);
    ~AnswerNormalizer();
    AnswerNormalizer(AnswerNormalizer&&) noexcept;
    AnswerNormalizer& operator=(AnswerNormalizer&&) noexcept;

    /// `text` with what is to be ignored removed. Thread-safe.
    std::string normalized(const std::string& text) const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace muster
