// Each rate is measured over work that takes some milliseconds, so that what starting and waiting
// cost does not count: matrices grow, and reading is repeated, until it does.

#include "cuda/ceilings.h"

#include <algorithm>
#include <chrono>
#include <functional>

#include "cuda/check.h"
#include "cuda/wait.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

constexpr double kSeconds = 5e-3, kDeadline = 60;
constexpr std::int64_t kLargest = 16384;  // rows of a matrix

class Buffer {
 public:
    explicit Buffer(std::uint64_t bytes) : bytes_(bytes) {
        check(cudaMalloc(&data_, bytes), "cudaMalloc for the ceilings");
    }
    ~Buffer() {
        if (!device_is_lost()) cudaFree(data_);
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    std::byte* data() const { return data_; }
    std::uint64_t bytes() const { return bytes_; }

 private:
    std::byte* data_ = nullptr;
    std::uint64_t bytes_;
};

class Stream {
 public:
    Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream"); }
    ~Stream() {
        if (!device_is_lost()) cudaStreamDestroy(stream_);
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    operator cudaStream_t() const { return stream_; }
    double seconds_of(const std::function<void()>& enqueue) const {
        const auto start = std::chrono::steady_clock::now();
        enqueue();
        wait_for(stream_, nullptr, kDeadline, "the measurement of a ceiling");
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }

 private:
    cudaStream_t stream_ = nullptr;
};

std::uint64_t free_bytes() {
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    return free;
}

/// FLOP/s of `repeats` products of the largest matrices that are worth it.
std::vector<double> product_rates(LargeProduct& library, DType type, int repeats,
                                  const Stream& stream) {
    const auto run = [&](std::int64_t n, int times) {
        const std::uint64_t matrix = static_cast<std::uint64_t>(n) * static_cast<std::uint64_t>(n) *
                                     static_cast<std::uint64_t>(size_of(type));
        const Buffer x(matrix), w(matrix), y(matrix);
        fill_random(type, x.data(), n * n, stream);
        fill_random(type, w.data(), n * n, stream);
        std::vector<double> seconds;
        for (int i = 0; i <= times; ++i)  // the first chooses an algorithm and loads its code
            seconds.push_back(stream.seconds_of(
                [&] { library.multiply(type, n, x.data(), w.data(), y.data(), stream); }));
        seconds.erase(seconds.begin());
        return seconds;
    };
    std::int64_t n = 64;
    while (2 * n <= kLargest && run(n, 1).front() < kSeconds &&
           free_bytes() / 2 > 3 * 4 * static_cast<std::uint64_t>(n * n) * size_of(type))
        n *= 2;
    std::vector<double> rates;
    for (const double seconds : run(n, repeats))
        rates.push_back(2.0 * static_cast<double>(n) * static_cast<double>(n) *
                        static_cast<double>(n) / seconds);
    return rates;
}

/// Bytes/s of `pass`, which moves `bytes` of them, over as many passes as take some milliseconds.
std::vector<double> byte_rates(double bytes, int repeats, const Stream& stream,
                               const std::function<void()>& pass) {
    const auto seconds = [&](int passes) {
        return stream.seconds_of([&] {
            for (int i = 0; i < passes; ++i) pass();
        });
    };
    (void)seconds(1);
    int passes = 1;
    while (seconds(passes) < kSeconds) passes *= 2;
    std::vector<double> rates;
    for (int i = 0; i < repeats; ++i) rates.push_back(bytes * passes / seconds(passes));
    return rates;
}

std::string describe(int ordinal, const LargeProduct& library) {
    cudaDeviceProp properties{};
    int driver = 0;
    check(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
    check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    return cat(properties.name, ", driver for CUDA ", driver / 1000, ".", driver / 10 % 100, ", ",
               library.description());
}

}  // namespace

CudaCeilings measure_ceilings(int ordinal, int repeats) {
    if (repeats < 1) throw InternalError(cat("measure_ceilings: ", repeats, " repeats"));
    check(cudaSetDevice(ordinal), "cudaSetDevice");
    const Stream stream;
    const auto library = make_large_product();
    CudaCeilings ceilings;
    ceilings.description = describe(ordinal, *library);
    ceilings.f32_flops = product_rates(*library, DType::f32, repeats, stream);
    ceilings.f16_flops = product_rates(*library, DType::f16, repeats, stream);
    ceilings.bf16_flops = product_rates(*library, DType::bf16, repeats, stream);

    int l2 = 0;
    check(cudaDeviceGetAttribute(&l2, cudaDevAttrL2CacheSize, ordinal), "cudaDeviceGetAttribute");
    // Large enough that next to nothing of it is still in the cache when it is read again.
    const std::uint64_t wanted = std::max<std::uint64_t>(16 * static_cast<std::uint64_t>(l2), 1024);
    const std::uint64_t bytes = std::min(wanted, free_bytes() / 4) / 1024 * 1024;
    const Buffer from(bytes), to(bytes),
        sums(std::uint64_t{kBusyThreads} * busy_blocks() * sizeof(std::uint32_t));
    fill_random(DType::f32, from.data(), static_cast<std::int64_t>(bytes / sizeof(float)), stream);
    ceilings.read_bytes = byte_rates(static_cast<double>(bytes), repeats, stream, [&] {
        read_all(from.data(), bytes, reinterpret_cast<std::uint32_t*>(sums.data()), stream);
    });
    ceilings.copy_bytes = byte_rates(2 * static_cast<double>(bytes), repeats, stream, [&] {
        check(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice, stream),
              "cudaMemcpyAsync");
    });
    return ceilings;
}

}  // namespace muster::cuda
