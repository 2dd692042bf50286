#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

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

std::vector<Scored> scale(std::span<const float> logits, double temperature) {
    // In double, where the smallest temperatures do not overflow; torch divides in float32.
    std::vector<Scored> scored;
    scored.reserve(logits.size());
    for (std::size_t i = 0; i < logits.size(); ++i) {
        const double score = static_cast<double>(logits[i]) / temperature;
        scored.push_back({static_cast<std::int32_t>(i),
                          std::isnan(score) ? -std::numeric_limits<double>::infinity() : score});
    }
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

void keep_top_p(std::vector<Scored>& scored, double top_p) {
    if (top_p >= 1) return;
    std::sort(scored.begin(), scored.end(), better);
    const double best = scored.front().score;
    double total = 0, before = 0;
    for (const Scored& item : scored) total += weight_of(item.score, best);
    std::size_t kept = 0;
    while (kept < scored.size() && (kept == 0 || before < top_p * total)) {
        before += weight_of(scored[kept++].score, best);
    }
    scored.resize(kept);
}

}  // namespace

void penalize_repetition(std::span<float> logits, std::span<const std::int32_t> tokens,
                         double penalty) {
    const auto factor = static_cast<float>(penalty);
    for (const std::int32_t token : tokens) {
        if (token < 0 || static_cast<std::size_t>(token) >= logits.size()) continue;
        float& logit = logits[static_cast<std::size_t>(token)];
        logit = logit < 0 ? logit * factor : logit / factor;
    }
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
                                         const SamplingOptions& options) {
    std::vector<Scored> scored = scale(logits, options.temperature);
    keep_top_k(scored, options.top_k);
    keep_top_p(scored, options.top_p);
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

std::int32_t draw(std::span<const Candidate> candidates, const DrawKey& key) {
    // Key and counter hold the four numbers side by side: different draws can never coincide.
    const double uniform = philox_uniform(
        {key.position, key.repeat, static_cast<std::uint32_t>(key.sample_key),
         static_cast<std::uint32_t>(key.sample_key >> 32)},
        {static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32)});
    double total = 0, sum = 0;
    for (const Candidate& candidate : candidates) total += candidate.weight;
    const double threshold = uniform * total;
    for (const Candidate& candidate : candidates) {
        sum += candidate.weight;
        if (threshold < sum) return candidate.token;
    }
    return candidates.back().token;
}

double portable_exp(double x) {
    if (!(x > -745)) return 0;
    // x = n·ln 2 + r with |r| ≤ ln 2 / 2 (ln 2 in two parts, Cephes exp.c), then Taylor to r¹³:
    // error below 2⁻⁵⁸ relative.
    const double n = std::floor(x * 1.4426950408889634 + 0.5);
    const double r = (x - n * 6.93145751953125e-1) - n * 1.42860682030941723212e-6;
    double sum = 1;
    for (int i = 13; i > 0; --i) sum = 1 + sum * (r / i);
    return std::ldexp(sum, static_cast<int>(n));
}

}  // namespace muster
