// Requests that share an input differ in their last token alone, so that every row but the last has
// one target whoever asks, and the last row has one per request.

#include "inputs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/engine/engine.h"

namespace muster {
namespace {

std::string_view bytes_of(std::span<const std::int32_t> tokens) {
    return {reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes()};
}

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

Input make_input(const Request& request, const Tokenizer& tokenizer) {
    Input input;
    input.at_most = kv_tokens_needed(request);
    if (request.kind == Request::Kind::score) {
        input.tokens = std::span(request.tokens).first(request.tokens.size() - 1);
        input.first_output = request.first_scored - 1;
    } else {
        input.tokens = request.tokens;
        input.first_output = static_cast<std::int32_t>(request.tokens.size()) - 1;
        input.generation = std::make_unique<Generation>(request, tokenizer);
    }
    return input;
}

}  // namespace

std::int32_t Input::token_at(std::int32_t position) const {
    const auto index = static_cast<std::size_t>(position);
    return index < tokens.size() ? tokens[index] : generation->tokens()[index - tokens.size()];
}

void Input::append_targets(std::int32_t position, std::int32_t row, const std::vector<Request>& all,
                           std::vector<LogitTarget>& targets) const {
    if (generation) return;
    const auto next = static_cast<std::size_t>(position) + 1;
    if (next < tokens.size()) {
        targets.push_back({row, tokens[next]});
    } else {
        for (const std::size_t request : requests)
            targets.push_back({row, all[request].tokens.back()});
    }
}

void Input::add_score(const RowScore& score, const LogitTarget& target, float target_logit) {
    logprobs.push_back(static_cast<float>(static_cast<double>(target_logit) - score.log_sum_exp));
    is_argmax.push_back(score.argmax == target.token);
}

void Input::complete(const std::vector<Request>& all, std::vector<Completion>& completions) const {
    if (generation) {
        completions[requests.front()] = generation->completion();
        return;
    }
    const std::size_t shared = logprobs.size() - requests.size();
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const Request& request = all[requests[i]];
        Completion& completion = completions[requests[i]];
        completion.id = request.id;
        completion.is_greedy = true;
        const auto add = [&](std::size_t target) {
            completion.token_logprobs.push_back(logprobs[target]);
            completion.log_likelihood += static_cast<double>(logprobs[target]);
            completion.is_greedy = completion.is_greedy && is_argmax[target];
        };
        for (auto t = static_cast<std::size_t>(request.first_scored - 1 - first_output); t < shared;
             ++t) {
            add(t);
        }
        add(shared + i);
    }
}

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

std::vector<Input> make_inputs(const std::vector<Request>& requests, const Tokenizer& tokenizer,
                               bool merge) {
    std::vector<Input> inputs;
    std::unordered_map<std::string_view, std::size_t> scored;  // input tokens → index into inputs
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const Request& request = requests[i];
        std::size_t index = inputs.size();
        if (merge && request.kind == Request::Kind::score) {
            const auto tokens = std::span(request.tokens).first(request.tokens.size() - 1);
            index = scored.emplace(bytes_of(tokens), index).first->second;
        }
        if (index == inputs.size()) inputs.push_back(make_input(request, tokenizer));
        Input& input = inputs[index];
        input.requests.push_back(i);
        if (!input.generation)
            input.first_output = std::min(input.first_output, request.first_scored - 1);
    }
    return inputs;
}

}  // namespace muster
