#pragma once
// One document of a task as the evaluator sees it, and what the model made of it. Everything that a
// metric needs is here and is stored in the result file, so that scores can be recomputed from it.

#include <cstdint>
#include <string>
#include <vector>

namespace muster {

/// One question to the model, as text. For log-likelihoods: score `continuation` after `context`;
/// rolling: score `continuation` alone (context ""); generation: continue `context`.
struct RequestText {
    std::string context;
    std::string continuation;
};

struct Sample {
    std::int64_t doc_id = 0;  ///< row of the document in its split (after process_docs)
    std::string prompt;  ///< few-shot block and question; the text that is scored for rolling tasks
    std::string target;  ///< the reference answer as text
    std::vector<std::string>
        targets;  ///< all references of a multi-reference generation task (else just target)
    std::vector<std::string> choices;  ///< multiple choice: answer texts without the delimiter
    std::vector<std::int64_t>
        gold;  ///< multiple choice: right indices; -100 for a gold that is no choice
    std::vector<RequestText> requests;  ///< in order: per choice (then unconditional ones), or one
    std::int64_t num_words = 0, num_bytes = 0;  ///< rolling tasks: of the original document
    std::string error;  ///< why the document could not be made into requests; "" if it could
};

enum class SampleStatus : std::uint8_t {
    ok = 0,
    truncated = 1,  ///< the context was cut from the left to fit the model
    too_long = 2,   ///< a continuation does not fit the model; scored as wrong
    bad_document = 3
};

/// What the model answered for one sample.
struct Prediction {
    SampleStatus status = SampleStatus::ok;
    std::vector<double> log_likelihoods;   ///< per request
    std::vector<std::uint8_t> is_greedy;   ///< per request, 0 or 1
    std::vector<std::int64_t> num_tokens;  ///< per request: scored or generated tokens
    std::int64_t prompt_tokens = 0;        ///< input tokens of the longest request
    std::vector<std::string> responses;    ///< generation: one per repeat
};

}  // namespace muster
