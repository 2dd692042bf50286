#pragma once
// exact_match of generated text: lm-evaluation-harness 0.4.13, lm_eval/api/metrics.py,
// exact_match_hf_evaluate.

#include <string>

#include "muster/task/answer_normalizer.h"
#include "scoring.h"

namespace muster {

class ExactMatch {
 public:
    /// Throws UserError at `place` for options that exact_match does not have.
    ExactMatch(const Object& options, const std::string& place) : normalizer_(options, place) {}

    /// One reference: the share of responses that equal it. Several: 1 if a response equals one of
    /// them.
    Score operator()(const SampleView& view) const;

 private:
    AnswerNormalizer normalizer_;
};

}  // namespace muster
