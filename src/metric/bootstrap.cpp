#include "bootstrap.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <thread>

#include "muster/base/error.h"
#include "random_indices.h"

namespace muster {

namespace {

constexpr int kChunk = 1000;

}  // namespace

std::vector<double> bootstrap(
    std::size_t n, int iterations,
    const std::function<double(std::span<const std::uint32_t>)>& statistic) {
    if (iterations <= 0 || n == 0) return {};
    if (n > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
        throw InternalError("bootstrap over more than 2^31 samples");
    const int chunk = std::min(kChunk, iterations);
    const int chunks = iterations / chunk;
    std::vector<double> replicates(static_cast<std::size_t>(chunk) *
                                   static_cast<std::size_t>(chunks));
    std::atomic<int> next_chunk = 0;
    std::atomic<bool> failed = false;
    std::exception_ptr failure;
    const auto work = [&] {
        try {
            std::vector<std::uint32_t> drawn(n);
            for (int i; (i = next_chunk++) < chunks && !failed;) {
                RandomIndices random(static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(n));
                double* const results = replicates.data() + static_cast<std::size_t>(i) *
                                                                static_cast<std::size_t>(chunk);
                for (int replicate = 0; replicate < chunk; ++replicate) {
                    random.fill(drawn);
                    results[replicate] = statistic(drawn);
                }
            }
        } catch (...) {
            if (!failed.exchange(true)) failure = std::current_exception();
        }
    };
    const int threads =
        std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, chunks);
    std::vector<std::thread> helpers;
    for (int i = 1; i < threads; ++i) helpers.emplace_back(work);
    work();
    for (std::thread& helper : helpers) helper.join();
    if (failure) std::rethrow_exception(failure);
    return replicates;
}

std::vector<double> bootstrap_means(const std::vector<double>& values, int iterations) {
    const auto n = static_cast<double>(values.size());
    const double* const data = values.data();
    return bootstrap(values.size(), iterations, [=](std::span<const std::uint32_t> drawn) {
        NeumaierSum sum;
        for (std::uint32_t index : drawn) sum.add(data[index]);
        return sum.result() / n;
    });
}

}  // namespace muster
