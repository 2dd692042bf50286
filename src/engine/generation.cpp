// Text is the decoding of all generated ids without special tokens, cut as lm-evaluation-harness
// 0.4.13 cuts it (models/utils.py postprocess_generated_text). A stop string that spells a special
// token
// ("<|eot_id|>") can never appear in such text, so it stops at the token itself.

#include "generation.h"

#include <algorithm>

namespace muster {

Generation::Generation(const Request& request, const Tokenizer& tokenizer)
    : request_(request),
      tokenizer_(tokenizer),
      best_logits_wanted_(muster::best_logits_wanted(request.sampling)),
      drawn_by_model_(by_temperature_alone(request.sampling)),
      inverse_temperature_(
          request.sampling.greedy() ? 1.0f : muster::inverse_temperature(request.sampling)),
      stop_ids_(request.stop_ids),
      decoder_(tokenizer, true),
      matcher_(request.stop_strings) {
    for (const std::string& stop : request.stop_strings) {
        const auto id = tokenizer.token_to_id(stop);
        if (id && tokenizer.is_special(*id)) stop_ids_.push_back(*id);
    }
    if (request.max_new_tokens == 0) finish_ = FinishReason::length;
    if (request.sampling.repetition_penalty != 1) {
        for (const std::int32_t token : request.tokens) remember(token);
    }
}

void Generation::remember(std::int32_t token) {
    const auto id = static_cast<std::size_t>(token);
    if (id >= seen_.size()) seen_.resize(id + 1, false);
    if (seen_[id]) return;
    seen_[id] = true;
    seen_ids_.push_back(token);
}

bool Generation::needs_logits() const {
    return !request_.sampling.greedy() || request_.sampling.repetition_penalty != 1;
}

std::optional<std::int32_t> Generation::choose(std::span<const TopLogit> best, double total) const {
    const SamplingOptions& sampling = request_.sampling;
    const ListedRow row = penalized_row(best, seen_, sampling.repetition_penalty);
    if (sampling.greedy()) return argmax(row);
    const auto candidates = filter_best(row, total, sampling);
    if (!candidates) return std::nullopt;
    return draw(*candidates, key());
}

std::int32_t Generation::choose(std::span<float> logits, std::optional<double> total) const {
    const SamplingOptions& sampling = request_.sampling;
    penalize_repetition(logits, seen_ids_, sampling.repetition_penalty);
    if (sampling.greedy()) return argmax(logits);
    return draw(filter_candidates(logits, sampling, total), key());
}

TokenDraw Generation::model_draw() const {
    const auto [block, token] = uniforms_of(key());
    return {0, inverse_temperature_, block, token};
}

DrawKey Generation::key() const {
    return {.seed = request_.sampling.seed,
            .sample_key = request_.sample_key,
            .repeat = request_.repeat,
            .position = static_cast<std::uint32_t>(tokens_.size())};
}

void Generation::accept(std::int32_t token) {
    if (std::find(stop_ids_.begin(), stop_ids_.end(), token) != stop_ids_.end()) {
        finish_ = FinishReason::stop_id;
        return;
    }
    tokens_.push_back(token);
    if (request_.sampling.repetition_penalty != 1) remember(token);
    if (matcher_.push(decoder_.push(token))) {
        finish_ = FinishReason::stop_string;
    } else if (tokens_.size() == static_cast<std::size_t>(request_.max_new_tokens)) {
        // What the decoder held back may complete a stop string after all.
        finish_ =
            matcher_.push(decoder_.finish()) ? FinishReason::stop_string : FinishReason::length;
    }
}

Completion Generation::completion() const {
    Completion completion;
    completion.id = request_.id;
    completion.tokens = tokens_;
    completion.text = cut_at_stops(tokenizer_.decode(tokens_, true), request_.stop_strings);
    completion.finish = finish_;
    return completion;
}

}  // namespace muster
