#include "cpu/expert_rows.h"

#include <algorithm>
#include <cmath>

namespace muster::cpu {

namespace {

/// The order of choice: NaN last.
float rank_of(float probability) {
    return std::isnan(probability) ? -1.0f : probability;
}

}  // namespace

void choose_experts(const Kernels& kernels, const ExpertRouting& routing, std::int64_t experts,
                    float* logits, ChosenExpert* chosen) {
    float sum = 0;
    kernels.exp_minus_max(logits, experts);
    for (std::int64_t e = 0; e < experts; ++e) sum += logits[e];
    for (std::int64_t e = 0; e < experts; ++e) logits[e] /= sum;

    // The best so far, best first; an equal one that comes later stays behind.
    int count = 0;
    for (std::int64_t e = 0; e < experts; ++e) {
        const float probability = logits[e];
        int at = count;
        while (at > 0 && rank_of(chosen[at - 1].weight) < rank_of(probability)) --at;
        if (at == routing.top_k) continue;
        count = std::min(count + 1, routing.top_k);
        std::copy_backward(chosen + at, chosen + count - 1, chosen + count);
        chosen[at] = {static_cast<std::int32_t>(e), probability};
    }
    std::sort(chosen, chosen + count,
              [](const ChosenExpert& a, const ChosenExpert& b) { return a.expert < b.expert; });
    if (!routing.normalize) return;
    float total = 0;
    for (int i = 0; i < count; ++i) total += chosen[i].weight;
    for (int i = 0; i < count; ++i) chosen[i].weight /= total;
}

void ExpertRows::sort(const ChosenExpert* chosen, std::int64_t num_rows, std::int64_t top_k,
                      std::int64_t experts) {
    const std::int64_t places = num_rows * top_k;
    std::vector<std::int64_t> next(static_cast<std::size_t>(experts) + 1);
    for (std::int64_t i = 0; i < places; ++i)
        ++next[static_cast<std::size_t>(chosen[i].expert) + 1];
    groups.clear();
    for (std::size_t e = 0; e < static_cast<std::size_t>(experts); ++e) {
        const std::int64_t count = next[e + 1];
        next[e + 1] += next[e];
        if (count > 0) groups.push_back({static_cast<std::int32_t>(e), next[e], count});
    }
    rows.resize(static_cast<std::size_t>(places));
    weights.resize(static_cast<std::size_t>(places));
    for (std::int64_t i = 0; i < places; ++i) {
        const auto place =
            static_cast<std::size_t>(next[static_cast<std::size_t>(chosen[i].expert)]++);
        rows[place] = static_cast<std::int32_t>(i / top_k);
        weights[place] = chosen[i].weight;
    }
}

}  // namespace muster::cpu
