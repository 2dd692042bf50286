#pragma once
// What goes into the engine and what comes out: plain structs between rooms.

#include <cstdint>
#include <string>
#include <vector>

namespace muster {

/// How tokens are drawn; temperature 0 is greedy.
struct SamplingOptions {
    double temperature = 0;
    std::int64_t top_k = 0;  ///< 0: off
    double top_p = 1, min_p = 0;
    double repetition_penalty =
        1;                   ///< CTRL's rule over prompt and output, as Hugging Face applies it
    std::uint64_t seed = 0;  ///< keys the generator together with sample, repeat and position
    bool greedy() const { return temperature <= 0; }
    bool operator==(const SamplingOptions&) const = default;
};

struct Request {
    enum class Kind : std::uint8_t {
        score,    ///< log-likelihood of tokens[first_scored …] given what precedes them
        generate  ///< continue tokens
    };
    std::uint64_t id = 0;  ///< global id
    Kind kind = Kind::score;
    std::vector<std::int32_t> tokens;
    std::int32_t first_scored =
        0;  ///< score: ≥ 1, < tokens.size(); the last token is scored but never fed

    // generate
    std::int32_t max_new_tokens = 0;
    std::vector<std::string> stop_strings;  ///< one that spells a special token stops at that token
    std::vector<std::int32_t> stop_ids;     ///< EOS and friends; not part of the text
    SamplingOptions sampling;
    std::uint64_t sample_key = 0;  ///< which document, for the generator
    std::uint32_t repeat = 0;
};

enum class FinishReason : std::uint8_t { none, stop_id, stop_string, length };

struct Completion {
    std::uint64_t id = 0;
    // score
    std::vector<float> token_logprobs;  ///< one per scored token
    double log_likelihood = 0;          ///< their sum in double, in order
    bool is_greedy = false;             ///< every scored token is the argmax (lowest id on ties)
    // generate
    std::vector<std::int32_t> tokens;  ///< generated ids, the stop id not included
    std::string text;  ///< decoded without special tokens, cut before each stop string in turn
    FinishReason finish = FinishReason::none;
};

/// Bytes for messages between ranks of one build (not a file format). Decoding throws InternalError
/// if malformed.
std::string pack_requests(const std::vector<Request>& requests);
std::vector<Request> unpack_requests(const std::string& bytes);
std::string pack_completions(const std::vector<Completion>& completions);
std::vector<Completion> unpack_completions(const std::string& bytes);

}  // namespace muster
