#include "muster/backend/ceilings.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

#include "cpu/instruction_sets.h"
#include "cpu/peak_loops.h"
#include "cpu/thread_pool.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_of(const std::function<void()>& work) {
    const auto start = Clock::now();
    work();
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Operations per second of `loop` on all threads, once per repeat.
std::vector<double> measure_loop(const cpu::PeakLoop& loop, cpu::ThreadPool& pool,
                                 const CeilingOptions& options) {
    const int threads = pool.threads();
    const auto run = [&](std::uint64_t iterations) {
        return seconds_of(
            [&] { pool.run(threads, threads, [&](std::int64_t, int) { loop.run(iterations); }); });
    };
    std::uint64_t iterations = 10'000;
    (void)run(iterations);  // wakes the units: wide ones take a while to reach their speed
    for (double seconds = run(iterations); seconds < options.seconds; seconds = run(iterations)) {
        const double factor = options.seconds / std::max(seconds, 1e-6);
        iterations = static_cast<std::uint64_t>(static_cast<double>(iterations) *
                                                std::clamp(1.1 * factor, 1.5, 100.0));
    }
    std::vector<double> rates;
    for (int i = 0; i < options.repeats; ++i) {
        options.together();
        const double operations =
            loop.flops_per_iteration * static_cast<double>(iterations) * threads;
        rates.push_back(operations / run(iterations));
    }
    return rates;
}

/// Anonymous memory in pages of 2 MiB where the kernel gives them.
class Buffer {
 public:
    explicit Buffer(std::size_t bytes) : bytes_(bytes) {
        data_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (data_ == MAP_FAILED)
            throw SystemError(cat("ceilings: could not map ",
                                  format_bytes(static_cast<std::uint64_t>(bytes)), ": ",
                                  std::strerror(errno)));
        madvise(data_, bytes, MADV_HUGEPAGE);  // a wish
    }
    ~Buffer() { munmap(data_, bytes_); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    std::byte* data() const { return static_cast<std::byte*>(data_); }

 private:
    void* data_ = nullptr;
    std::size_t bytes_;
};

typedef std::uint64_t Line __attribute__((vector_size(64)));

/// Reads `lines` lines, a multiple of 4, as four streams side by side, each 2 KiB ahead: more
/// requests in flight than one stream gets from the hardware's own prefetching.
void read_lines(const Line* data, std::size_t lines) {
    constexpr std::size_t kAhead = 2048 / sizeof(Line);
    const std::size_t part = lines / 4;
    Line sums[4] = {};
    for (std::size_t i = 0; i < part; ++i) {
        for (std::size_t stream = 0; stream < 4; ++stream) {
            const Line* line = data + stream * part + i;
            __builtin_prefetch(line + kAhead);  // beyond the end it does nothing
            sums[stream] ^= *line;
        }
    }
    const Line sum = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
    volatile std::uint64_t sink = sum[0] ^ sum[7];
    (void)sink;
}

std::vector<double> measure_read(cpu::ThreadPool& pool, const CeilingOptions& options) {
    const auto threads = static_cast<std::size_t>(pool.threads());
    constexpr std::size_t kUnit = 4 * sizeof(Line);
    const std::size_t share =
        std::max<std::size_t>(static_cast<std::size_t>(options.read_buffer) / threads / kUnit, 1) *
        kUnit;
    const Buffer buffer(share * threads);
    const auto mine = [&](std::int64_t thread) {
        return buffer.data() + static_cast<std::size_t>(thread) * share;
    };
    const auto all = [&](const auto& body) {
        pool.run(pool.threads(), pool.threads(),
                 [&](std::int64_t thread, int) { body(mine(thread)); });
    };
    const auto read = [&](const std::byte* from) {
        read_lines(reinterpret_cast<const Line*>(from), share / sizeof(Line));
    };
    // Who reads a page has touched it first: it lies on that thread's node.
    all([&](std::byte* to) { std::memset(to, 1, share); });
    all(read);
    std::vector<double> rates;
    for (int i = 0; i < options.repeats; ++i) {
        options.together();
        rates.push_back(static_cast<double>(share * threads) / seconds_of([&] { all(read); }));
    }
    return rates;
}

}  // namespace

const std::vector<double>& CpuCeilings::usable_flops(DType dtype) const {
    return dtype == DType::bf16 && median(bf16_flops) > median(f32_flops) ? bf16_flops : f32_flops;
}

CpuCeilings measure_cpu_ceilings(const CeilingOptions& options) {
    cpu::ThreadPool pool(options.threads, options.cpus);
    CpuCeilings ceilings;
    const cpu::Isa isa = options.instruction_set.empty() ? cpu::available_isas().back()
                                                         : cpu::isa_named(options.instruction_set);
    const cpu::PeakLoop f32 = cpu::f32_peak_loop(isa), bf16 = cpu::bf16_peak_loop(isa);
    ceilings.f32_instructions = f32.name;
    ceilings.f32_flops = measure_loop(f32, pool, options);
    if (bf16.name) {
        ceilings.bf16_instructions = bf16.name;
        ceilings.bf16_flops = measure_loop(bf16, pool, options);
    } else {
        // Other ranks may run on other processors and wait.
        for (int i = 0; i < options.repeats; ++i) options.together();
    }
    ceilings.read_bytes = measure_read(pool, options);
    return ceilings;
}

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace muster
