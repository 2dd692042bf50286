// Speed of attention by itself, at the shapes of known models: GFLOP/s over the keys that are seen,
// and what part that is of the peak of f32 multiply-adds measured before.
//
//     attention_bench [threads] [seconds per case] [kernel set, −1 for the fastest] [words of a
//     case]
//
// On one thread it counts the thread's own time, so that other programs disturb less.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "cpu/cpu_backend.h"
#include "cpu/peak_loops.h"
#include "muster/mpi/communicator.h"

namespace {

using namespace muster;
bool thread_time = false;

double now() {
    timespec time{};
    clock_gettime(thread_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}
double seconds_since(double start) {
    return now() - start;
}

/// f32 GFLOP/s of one thread, the best of some tries.
double peak_gflops() {
    const cpu::PeakLoop loop = cpu::f32_peak_loop(cpu::available_isas().back());
    constexpr std::uint64_t kIterations = 1000000;
    double best = 0;
    for (int i = 0; loop.run && i < 10; ++i) {
        const double start = now();
        loop.run(kIterations);
        best = std::max(best, loop.flops_per_iteration * kIterations / seconds_since(start) / 1e9);
    }
    return best;
}

struct Heads {
    const char* name;
    std::int64_t heads, kv_heads, d;
};
struct Phase {
    const char* name;
    std::int32_t sequences, cached, rows;
};

void measure(Backend& backend, const Heads& shape, const Phase& phase, DType dtype, double seconds,
             double peak) {
    const std::int32_t length = phase.cached + phase.rows;
    const std::int32_t pages_each = (length + kKvPageTokens - 1) / kKvPageTokens;
    const std::int32_t rows = phase.sequences * phase.rows;
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(-2.0f, 2.0f);
    const auto filled = [&](std::int64_t n_rows, std::int64_t columns) {
        const Tensor tensor = backend.allocate(DType::f32, {n_rows, columns});
        for (std::int64_t i = 0; i < n_rows * columns; ++i) tensor.as<float>()[i] = uniform(random);
        return tensor;
    };
    const std::int64_t kv_width = shape.kv_heads * shape.d;
    const Tensor keys =
        backend.allocate(dtype, {pages_each * phase.sequences, kKvPageTokens, kv_width});
    const Tensor values =
        backend.allocate(dtype, {pages_each * phase.sequences, kKvPageTokens, kv_width});

    std::vector<std::int32_t> pages(static_cast<std::size_t>(pages_each * phase.sequences));
    for (std::size_t i = 0; i < pages.size(); ++i) pages[i] = static_cast<std::int32_t>(i);
    std::shuffle(pages.begin(), pages.end(), random);
    std::vector<AttentionSequence> all, step;
    double flops = 0;
    for (std::int32_t s = 0; s < phase.sequences; ++s) {
        const auto mine = std::span<const std::int32_t>(pages).subspan(
            static_cast<std::size_t>(s * pages_each), static_cast<std::size_t>(pages_each));
        all.push_back({s * length, length, 0, mine});
        step.push_back({s * phase.rows, phase.rows, phase.cached, mine});
        for (std::int32_t r = 0; r < phase.rows; ++r)
            flops += 4.0 * static_cast<double>(shape.heads * shape.d) * (phase.cached + r + 1);
    }
    const Tensor k = filled(phase.sequences * length, kv_width);
    const Tensor v = filled(phase.sequences * length, kv_width);
    backend.store_kv(k, v, all, shape.d, keys, values);
    const Tensor q = filled(rows, shape.heads * shape.d);
    const Tensor out = backend.allocate(dtype, {rows, shape.heads * shape.d});

    std::vector<double> rates, stores;
    const double start = now();
    while (rates.size() < 3 || seconds_since(start) < seconds) {
        double begin = now();
        backend.attention(q, keys, values, step, shape.d, 0.125f, 0, out);
        rates.push_back(flops / seconds_since(begin) / 1e9);
        begin = now();
        backend.store_kv(k, v, step, shape.d, keys, values);
        stores.push_back(2.0 * rows * static_cast<double>(kv_width) * 4 / seconds_since(begin) /
                         1e9);
    }
    std::sort(rates.begin(), rates.end());
    std::sort(stores.begin(), stores.end());
    const double median = rates[rates.size() / 2];
    std::printf("%-12s %-14s %-5s %8.1f %8.1f %8.1f  %5.1f %%  %6.2f\n", shape.name, phase.name,
                std::string(name_of(dtype)).c_str(), rates.front(), median, rates.back(),
                peak > 0 ? 100 * median / peak : 0.0, stores[stores.size() / 2]);
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : 1;
    const double seconds = argc > 2 ? std::atof(argv[2]) : 1.0;
    const int set = argc > 3 ? std::atoi(argv[3]) : -1;
    const std::string words = argc > 4 ? argv[4] : "";
    const cpu::Isa isa = set >= 0 ? static_cast<cpu::Isa>(set) : cpu::fastest_isa();
    thread_time = threads == 1;
    const Communicator self = Communicator::self();
    const auto backend = cpu::make_cpu_backend_with(isa, threads, self);
    const double peak = peak_gflops() * threads;
    std::printf("%s, f32 peak %.1f GFLOP/s\n%-12s %-14s %-5s %8s %8s %8s  %7s  %6s\n",
                backend->description().c_str(), peak, "", "GFLOP/s", "", "min", "median", "max",
                "of peak", "store GB/s");
    const Heads shapes[] = {{"1.1B", 32, 4, 64}, {"135M", 9, 3, 64}, {"Llama-8B", 32, 8, 128}};
    const Phase phases[] = {{"prefill 512", 1, 0, 512},
                            {"prefill 2048", 1, 0, 2048},
                            {"16 × 128", 16, 0, 128},
                            {"decode 32 × 192", 32, 191, 1}};
    for (const Heads& shape : shapes) {
        for (const Phase& phase : phases) {
            for (const DType dtype : {DType::bf16, DType::f16, DType::f32}) {
                const std::string name =
                    std::string(shape.name) + " " + phase.name + " " + std::string(name_of(dtype));
                if (name.find(words) != std::string::npos)
                    measure(*backend, shape, phase, dtype, seconds, peak);
            }
        }
    }
    return 0;
}
