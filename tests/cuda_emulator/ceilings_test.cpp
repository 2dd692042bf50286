// The yardsticks of `muster bench`: that they do what they count. How fast they are, only a device
// can tell.

#include "cuda/ceilings.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cuda/check.h"
#include "muster/tensor/dtype.h"

using namespace muster;
using namespace muster::cuda;

namespace {

float widened(DType type, const std::vector<std::uint16_t>& words, std::size_t i) {
    return type == DType::f16 ? from_f16(words[i]) : from_bf16(words[i]);
}

template <typename T>
class OnDevice {
 public:
    explicit OnDevice(std::size_t n) : n_(n) { check(cudaMalloc(&data_, n * sizeof(T)), "malloc"); }
    OnDevice(const OnDevice&) = delete;
    OnDevice& operator=(const OnDevice&) = delete;
    ~OnDevice() { cudaFree(data_); }
    T* data() const { return data_; }
    std::vector<T> values() const {
        std::vector<T> host(n_);
        check(cudaMemcpy(host.data(), data_, n_ * sizeof(T), cudaMemcpyDeviceToHost), "copy");
        return host;
    }

 private:
    std::size_t n_;
    T* data_ = nullptr;
};

}  // namespace

TEST_CASE("numbers to multiply are random, of deviation 1") {
    constexpr std::size_t kCount = 50'000;
    const OnDevice<std::uint16_t> words(kCount);
    for (const DType type : {DType::f16, DType::bf16}) {
        fill_random(type, words.data(), kCount, nullptr);
        const std::vector<std::uint16_t> host = words.values();
        double sum = 0, squares = 0, neighbours = 0;
        for (std::size_t i = 0; i < kCount; ++i) {
            const double value = widened(type, host, i);
            sum += value;
            squares += value * value;
            if (i > 0) neighbours += value * widened(type, host, i - 1);
        }
        const double n = kCount;
        CHECK(std::abs(sum / n) < 0.02);
        CHECK(std::abs(squares / n - 1) < 0.03);
        CHECK(std::abs(neighbours / n) < 0.02);
    }
}

TEST_CASE("every byte of a buffer is read once") {
    for (const std::size_t vectors : {1u, 1000u, 40'000u, 100'003u}) {
        const OnDevice<std::uint32_t> from(4 * vectors),
            sums(std::size_t{kBusyThreads} * busy_blocks());
        fill_random(DType::f32, from.data(), static_cast<std::int64_t>(4 * vectors), nullptr);
        read_all(from.data(), 16 * vectors, sums.data(), nullptr);
        const std::vector<std::uint32_t> host = from.values();
        std::uint32_t expected = 0, got = 0;
        for (std::size_t i = 0; i < host.size(); i += 4)
            expected += host[i] ^ host[i + 1] ^ host[i + 2] ^ host[i + 3];
        for (const std::uint32_t sum : sums.values()) got += sum;
        CHECK(got == expected);
    }
}

TEST_CASE("the large product is x times the transpose of w") {
    constexpr std::int64_t n = 24;
    constexpr auto kElements = static_cast<std::size_t>(n * n);
    const OnDevice<std::uint16_t> x(kElements), w(kElements + 7), y(kElements);
    fill_random(DType::bf16, x.data(), n * n, nullptr);
    fill_random(DType::bf16, w.data(), n * n + 7, nullptr);
    make_large_product()->multiply(DType::bf16, n, x.data(), w.data() + 7, y.data(), nullptr);
    const auto hx = x.values(), hw = w.values(), hy = y.values();
    const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
            double sum = 0;
            for (std::int64_t k = 0; k < n; ++k)
                sum += double{from_bf16(hx[at(i * n + k)])} * from_bf16(hw[at(j * n + k) + 7]);
            // Rounded to 8 bits of mantissa; sums of 24 products of deviation 1.
            CHECK(std::abs(from_bf16(hy[at(i * n + j)]) - sum) < 0.06);
        }
}

TEST_CASE("ceilings are rates, one per repeat") {
    const CudaCeilings ceilings = measure_ceilings(0, 3);
    CHECK(ceilings.description.find("driver for CUDA 1") != std::string::npos);
    for (const auto* rates : {&ceilings.f32_flops, &ceilings.f16_flops, &ceilings.bf16_flops,
                              &ceilings.read_bytes, &ceilings.copy_bytes}) {
        CHECK(rates->size() == 3);
        CHECK(std::all_of(rates->begin(), rates->end(),
                          [](double rate) { return rate > 1e3 && std::isfinite(rate); }));
    }
    CHECK(&ceilings.usable_flops(DType::f32) == &ceilings.f32_flops);
    CHECK(&ceilings.usable_flops(DType::f16) == &ceilings.f16_flops);
    CHECK(&ceilings.usable_flops(DType::bf16) == &ceilings.bf16_flops);
}
