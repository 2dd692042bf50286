#pragma once
// Bootstrap replicates with the draws of lm-evaluation-harness: chunk i of up to 1,000 replicates
// comes from Python's random.Random(i).choices(xs, k=n), so the chunks are independent and run on
// as many threads as there are cores.

#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace muster {

/// sum() of floats in Python 3.12 and later: Neumaier's compensated sum.
struct NeumaierSum {
    double sum = 0, compensation = 0;
    void add(double value) {
        const double next = sum + value;
        compensation +=
            std::abs(sum) >= std::abs(value) ? (sum - next) + value : (value - next) + sum;
        sum = next;
    }
    double result() const {
        return compensation != 0 && std::isfinite(compensation) ? sum + compensation : sum;
    }
};

/// statistic(drawn indices of n samples) for every replicate in order; fewer than `iterations` if
/// 1,000 does not divide them, as in lm-eval. `statistic` is called from several threads.
std::vector<double> bootstrap(
    std::size_t n, int iterations,
    const std::function<double(std::span<const std::uint32_t>)>& statistic);
/// The means of the replicates: the fast form for perplexities.
std::vector<double> bootstrap_means(const std::vector<double>& values, int iterations);

}  // namespace muster
