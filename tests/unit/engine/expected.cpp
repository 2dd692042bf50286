#include "expected.h"

#include <algorithm>

#include "fake_model.h"
#include "sampler.h"
#include "stop_matcher.h"

namespace muster::test {
namespace {

Completion expected_score(const Request& request, std::int64_t length) {
    Completion completion;
    completion.id = request.id;
    completion.is_greedy = true;
    std::uint32_t history = kEmptyHistory;
    for (std::size_t next = 1; next < request.tokens.size(); ++next) {
        history = fake_hash(history, request.tokens[next - 1]);
        if (static_cast<std::int32_t>(next) < request.first_scored) continue;
        const auto row = fake_logits(history, length);
        const RowScore score = fake_score(row);
        const std::int32_t target = request.tokens[next];
        completion.token_logprobs.push_back(static_cast<float>(
            static_cast<double>(row[static_cast<std::size_t>(target)]) - score.log_sum_exp));
        completion.log_likelihood += static_cast<double>(completion.token_logprobs.back());
        completion.is_greedy = completion.is_greedy && score.argmax == target;
    }
    return completion;
}

/// All distinct tokens of prompt and output.
std::vector<std::int32_t> distinct(std::vector<std::int32_t> tokens) {
    std::sort(tokens.begin(), tokens.end());
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    return tokens;
}

bool has_stop(const std::string& text, const Request& request) {
    return cut_at_stops(text, request.stop_strings) != text;
}

}  // namespace

Completion expected_completion(const Request& request, const Tokenizer& tokenizer, RopeType rope) {
    const auto size = static_cast<std::int64_t>(request.tokens.size());
    const bool scores = request.kind == Request::Kind::score;
    const std::int64_t length = rope != RopeType::dynamic ? 0
                                : scores                  ? size - 1
                                                          : size + request.max_new_tokens;
    if (scores) return expected_score(request, length);
    Completion completion;
    completion.id = request.id;
    if (request.max_new_tokens == 0) completion.finish = FinishReason::length;
    const SamplingOptions& sampling = request.sampling;
    std::vector<std::int32_t> all = request.tokens;
    std::uint32_t history = kEmptyHistory;
    for (const std::int32_t token : all) history = fake_hash(history, token);
    while (completion.finish == FinishReason::none) {
        const auto position = static_cast<std::uint32_t>(completion.tokens.size());
        auto row = fake_logits(history, length);
        std::optional<double> total;
        if (best_logits_wanted(sampling) > 0)
            total = fake_total(row, inverse_temperature(sampling));
        penalize_repetition(row, distinct(all), sampling.repetition_penalty);
        const DrawKey key{sampling.seed, request.sample_key, request.repeat, position};
        const auto [block, within] = uniforms_of(key);
        const std::int32_t token =
            sampling.greedy() ? argmax(row)
            : by_temperature_alone(sampling)
                ? fake_draw(row, {0, inverse_temperature(sampling), block, within})
                : draw(filter_candidates(row, sampling, total), key);
        if (std::count(request.stop_ids.begin(), request.stop_ids.end(), token)) {
            completion.finish = FinishReason::stop_id;
            break;
        }
        all.push_back(token);
        history = fake_hash(history, token);
        completion.tokens.push_back(token);
        if (has_stop(tokenizer.decode(completion.tokens, true), request)) {
            completion.finish = FinishReason::stop_string;
        } else if (static_cast<std::int32_t>(completion.tokens.size()) == request.max_new_tokens) {
            completion.finish = FinishReason::length;
        }
    }
    completion.text = cut_at_stops(tokenizer.decode(completion.tokens, true), request.stop_strings);
    return completion;
}

}  // namespace muster::test
