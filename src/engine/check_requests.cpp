#include "check_requests.h"

#include <cmath>
#include <limits>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/engine/engine.h"

namespace muster {
namespace {

const char* problem_of(const Request& request) {
    const auto size = static_cast<std::int64_t>(request.tokens.size());
    if (request.kind == Request::Kind::score) {
        if (size < 2) return "a score needs two tokens or more";
        if (request.first_scored < 1 || request.first_scored >= size)
            return "first_scored is out of range";
        return nullptr;
    }
    const SamplingOptions& sampling = request.sampling;
    if (size < 1) return "a generation needs one token or more";
    if (request.max_new_tokens < 0) return "max_new_tokens is negative";
    if (!std::isfinite(sampling.temperature)) return "temperature is not finite";
    if (sampling.top_k < 0) return "top_k is negative";
    if (!(sampling.top_p >= 0 && sampling.top_p <= 1)) return "top_p is not in [0, 1]";
    if (!(sampling.min_p >= 0 && sampling.min_p <= 1)) return "min_p is not in [0, 1]";
    if (!(sampling.repetition_penalty > 0 && std::isfinite(sampling.repetition_penalty))) {
        return "repetition_penalty is not positive";
    }
    return nullptr;
}

}  // namespace

std::int64_t kv_tokens_needed(const Request& request) {
    const auto size = static_cast<std::int64_t>(request.tokens.size());
    return request.kind == Request::Kind::score ? size - 1 : size + request.max_new_tokens;
}

void check_requests(const std::vector<Request>& requests, std::int64_t vocab_size) {
    for (const Request& request : requests) {
        if (const char* problem = problem_of(request)) {
            throw InternalError(cat("engine: request ", request.id, ": ", problem));
        }
        if (kv_tokens_needed(request) > std::numeric_limits<std::int32_t>::max()) {
            throw InternalError(cat("engine: request ", request.id, ": too many tokens"));
        }
        for (const std::int32_t token : request.tokens) {
            if (token < 0 || token >= vocab_size) {
                throw InternalError(cat("engine: request ", request.id, ": token ", token,
                                        " is outside the vocabulary of ", vocab_size));
            }
        }
    }
}

}  // namespace muster
