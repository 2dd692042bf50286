#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "muster/base/portable_exp.h"
#include "philox.h"

namespace muster {
namespace {

struct Scored {
    std::int32_t token;
    double score;
};

/// Best first; on equal scores the lower id.
bool better(const Scored& a, const Scored& b) {
    return a.score != b.score ? a.score > b.score : a.token < b.token;
}

/// In double, where the smallest temperatures do not overflow; torch divides in float32.
double score_of(float logit, double temperature) {
    const double score = static_cast<double>(logit) / temperature;
    return std::isnan(score) ? -std::numeric_limits<double>::infinity() : score;
}

std::vector<Scored> scale(std::span<const float> logits, double temperature) {
    std::vector<Scored> scored;
    scored.reserve(logits.size());
    for (std::size_t i = 0; i < logits.size(); ++i)
        scored.push_back({static_cast<std::int32_t>(i), score_of(logits[i], temperature)});
    return scored;
}

void keep_top_k(std::vector<Scored>& scored, std::int64_t top_k) {
    if (top_k <= 0 || top_k >= static_cast<std::int64_t>(scored.size())) return;
    const auto last = scored.begin() + (top_k - 1);
    std::nth_element(scored.begin(), last, scored.end(), better);
    const double threshold = last->score;
    std::erase_if(scored, [&](const Scored& item) { return item.score < threshold; });
}

double weight_of(double score, double best) {
    return score == best ? 1.0 : portable_exp(score - best);
}

/// Σ weights of `scored`, best first.
double mass_of(const std::vector<Scored>& scored) {
    double sum = 0;
    for (const Scored& item : scored) sum += weight_of(item.score, scored.front().score);
    return sum;
}

void keep_top_p(std::vector<Scored>& scored, double top_p, std::optional<double> total) {
    if (top_p >= 1) return;
    std::sort(scored.begin(), scored.end(), better);
    const double best = scored.front().score, wanted = top_p * (total ? *total : mass_of(scored));
    double before = 0;
    std::size_t kept = 0;
    while (kept < scored.size() && (kept == 0 || before < wanted)) {
        before += weight_of(scored[kept++].score, best);
    }
    scored.resize(kept);
}

std::vector<Candidate> filter(std::vector<Scored> scored, const SamplingOptions& options,
                              std::optional<double> total) {
    // What top-k leaves has a total of its own.
    if (options.top_k > 0) total.reset();
    keep_top_k(scored, options.top_k);
    keep_top_p(scored, options.top_p, total);
    std::sort(scored.begin(), scored.end(),
              [](const Scored& a, const Scored& b) { return a.token < b.token; });
    const double best = std::min_element(scored.begin(), scored.end(), better)->score;
    std::vector<Candidate> candidates;
    candidates.reserve(scored.size());
    for (const Scored& item : scored) {
        const double weight = weight_of(item.score, best);
        if (item.score == best || weight >= options.min_p)
            candidates.push_back({item.token, weight});
    }
    return candidates;
}

/// Whether `scored`, best first, hold all that the filters can leave of a row whose other tokens
/// score at most `edge`, below all of these.
bool proves(const std::vector<Scored>& scored, double edge, double total,
            const SamplingOptions& options) {
    if (scored.empty()) return false;
    if (options.top_k > 0) return static_cast<std::int64_t>(scored.size()) >= options.top_k;
    if (options.top_p < 1) return mass_of(scored) >= options.top_p * total;
    // Below the edge weights are no larger, but for the last bits of portable_exp.
    constexpr double kRounding = 1e-12;
    return weight_of(edge, scored.front().score) < options.min_p * (1 - kRounding);
}

float penalized(float logit, double penalty) {
    const auto factor = static_cast<float>(penalty);
    return logit < 0 ? logit * factor : logit / factor;
}

}  // namespace

void penalize_repetition(std::span<float> logits, std::span<const std::int32_t> tokens,
                         double penalty) {
    for (const std::int32_t token : tokens) {
        if (token < 0 || static_cast<std::size_t>(token) >= logits.size()) continue;
        float& logit = logits[static_cast<std::size_t>(token)];
        logit = penalized(logit, penalty);
    }
}

ListedRow penalized_row(std::span<const TopLogit> best, const std::vector<bool>& seen,
                        double penalty) {
    ListedRow row;
    const auto end =
        std::find_if(best.begin(), best.end(), [](const TopLogit& item) { return item.token < 0; });
    row.tokens.assign(best.begin(), end);
    if (end == best.end()) row.edge = best.back().logit;
    if (penalty == 1) return row;
    for (TopLogit& item : row.tokens) {
        const auto id = static_cast<std::size_t>(item.token);
        if (id < seen.size() && seen[id]) item.logit = penalized(item.logit, penalty);
    }
    std::sort(row.tokens.begin(), row.tokens.end(), [](const TopLogit& a, const TopLogit& b) {
        return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
    });
    return row;
}

std::optional<std::int32_t> argmax(const ListedRow& row) {
    const TopLogit& best = row.tokens.front();
    // Equal ones may lie outside the list, and −infinity stands for NaN, too.
    const float edge = row.edge.value_or(-std::numeric_limits<float>::infinity());
    return best.logit > edge ? std::optional(best.token) : std::nullopt;
}

std::int32_t argmax(std::span<const float> logits) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < logits.size(); ++i) {
        if (logits[i] > logits[best] || (std::isnan(logits[best]) && !std::isnan(logits[i]))) {
            best = i;
        }
    }
    return static_cast<std::int32_t>(best);
}

std::vector<Candidate> filter_candidates(std::span<const float> logits,
                                         const SamplingOptions& options,
                                         std::optional<double> total) {
    return filter(scale(logits, options.temperature), options, total);
}

int best_logits_wanted(const SamplingOptions& options) {
    const bool penalizes = options.repetition_penalty != 1;
    // A penalty below 1 lifts tokens from anywhere.
    if (options.repetition_penalty < 1 || options.top_k >= kMaxTopLogits) return 0;
    // Many of the best tokens of a text have been in it. A place above the edge is left for one, or
    // for k, if as many of them as this fall below it.
    constexpr std::int64_t kSeen = 64;
    if (options.greedy()) return penalizes ? kSeen : 0;
    constexpr std::int64_t kMore = 16;  // ties of the last place, and the first one behind them
    if (options.top_k > 0)
        return static_cast<int>(std::min<std::int64_t>(
            options.top_k + (penalizes ? options.top_k + kSeen : kMore), kMaxTopLogits));
    // The total that top-p needs is that of the row before the penalty.
    if (options.top_p < 1) return penalizes ? 0 : kMaxTopLogits;
    return options.min_p > 0 ? kMaxTopLogits : 0;
}

float inverse_temperature(const SamplingOptions& options) {
    using Limits = std::numeric_limits<float>;
    return static_cast<float>(std::clamp(1 / options.temperature,
                                         static_cast<double>(Limits::min()),
                                         static_cast<double>(Limits::max())));
}

std::optional<std::vector<Candidate>> filter_best(const ListedRow& row, double total,
                                                  const SamplingOptions& options) {
    std::vector<Scored> scored;
    scored.reserve(row.tokens.size());
    for (const TopLogit& item : row.tokens)
        scored.push_back({item.token, score_of(item.logit, options.temperature)});
    if (!row.edge) return filter(std::move(scored), options, total);
    // Tokens that are not listed score at most this, so those above it are all that score so much.
    const double edge = score_of(*row.edge, options.temperature);
    std::erase_if(scored, [&](const Scored& item) { return item.score <= edge; });
    if (!proves(scored, edge, total, options)) return std::nullopt;
    return filter(std::move(scored), options, total);
}

bool by_temperature_alone(const SamplingOptions& options) {
    return !options.greedy() && options.repetition_penalty == 1 && options.top_k == 0 &&
           options.top_p >= 1 && options.min_p == 0;
}

std::array<double, 2> uniforms_of(const DrawKey& key) {
    // Key and counter hold the four numbers side by side: different draws can never coincide.
    return philox_uniforms(
        {key.position, key.repeat, static_cast<std::uint32_t>(key.sample_key),
         static_cast<std::uint32_t>(key.sample_key >> 32)},
        {static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32)});
}

std::int32_t draw(std::span<const Candidate> candidates, const DrawKey& key) {
    const double uniform = uniforms_of(key)[0];
    double total = 0, sum = 0;
    for (const Candidate& candidate : candidates) total += candidate.weight;
    const double threshold = uniform * total;
    for (const Candidate& candidate : candidates) {
        sum += candidate.weight;
        if (threshold < sum) return candidate.token;
    }
    return candidates.back().token;
}

}  // namespace muster
