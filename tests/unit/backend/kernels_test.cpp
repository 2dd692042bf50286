// The kernel sets against C's own functions and against each other.

#include <cmath>

#include "backend_test.h"

using namespace muster;

TEST_CASE("conversions agree with the tensor room for every half and for floats of all sizes") {
    RandomInput input;
    std::vector<float> floats;
    for (int i = 0; i < 200000; ++i)
        floats.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(input.random())));
    for (const cpu::Isa isa : cpu::available_isas()) {
        const cpu::Kernels& kernels = cpu::kernels_for(isa);
        for (const DType dtype : {DType::f16, DType::bf16}) {
            std::vector<std::uint16_t> halves(65536), back(floats.size());
            std::vector<float> wide(65536);
            for (std::size_t i = 0; i < 65536; ++i) halves[i] = static_cast<std::uint16_t>(i);
            kernels.to_f32(halves.data(), dtype, 65536, wide.data());
            int wrong = 0;
            for (std::size_t i = 0; i < 65536; ++i) {
                const float expected =
                    dtype == DType::f16 ? from_f16(halves[i]) : from_bf16(halves[i]);
                const bool nan = std::isnan(expected) && std::isnan(wide[i]);
                wrong += !nan && std::bit_cast<std::uint32_t>(wide[i]) !=
                                     std::bit_cast<std::uint32_t>(expected);
            }
            kernels.from_f32(floats.data(), static_cast<std::int64_t>(floats.size()) - 3, dtype,
                             back.data());
            for (std::size_t i = 0; i + 3 < floats.size(); ++i) {
                const std::uint16_t expected =
                    dtype == DType::f16 ? to_f16(floats[i]) : to_bf16(floats[i]);
                wrong += !std::isnan(floats[i]) && back[i] != expected;
            }
            CHECK(wrong == 0);
        }
    }
}

TEST_CASE("exp is accurate to 2^-22 from underflow to overflow") {
    RandomInput input;
    std::vector<float> x = {0.0f};  // the maximum, so that exp_minus_max is exp
    for (int i = 0; i < 100000; ++i)
        x.push_back(-std::exp(std::uniform_real_distribution<float>(-20.0f, 4.65f)(input.random)));
    x.push_back(-std::numeric_limits<float>::infinity());
    std::vector<float> first;
    for (const cpu::Isa isa : cpu::available_isas()) {
        std::vector<float> y = x;
        cpu::kernels_for(isa).exp_minus_max(y.data(), static_cast<std::int64_t>(y.size()));
        CHECK(y[0] == 1.0f);
        CHECK(y.back() == 0.0f);
        double worst = 0;
        for (std::size_t i = 0; i + 1 < x.size(); ++i) {
            const double exact = std::exp(static_cast<double>(x[i]));
            // Below 2^-126 the spacing of f32 is absolute.
            worst = std::max(worst, std::abs(y[i] - exact) / std::max(exact, 0x1p-126));
        }
        CHECK(worst < 0x1p-22);
        if (first.empty()) first = y;
        CHECK(same_bits(first, y));
    }
}

TEST_CASE("a NaN stays a NaN") {
    std::vector<float> x = {1.0f, std::numeric_limits<float>::quiet_NaN(), 0.5f};
    cpu::kernels_for(cpu::available_isas().back()).exp_minus_max(x.data(), 3);
    CHECK(x[0] == 1.0f);
    CHECK(std::isnan(x[1]));
}

TEST_CASE("all kernel sets give the same bits in every row operation") {
    RandomInput input;
    const std::vector<cpu::Isa> isas = cpu::available_isas();
    MESSAGE("kernel sets: ", isas.size());
    for (int round = 0; round < 20; ++round) {
        const std::int64_t n = 2 * input.integer(32, 200);
        const std::vector<float> a = input.floats(n, 4.0f), b = input.floats(n, 4.0f);
        for (const DType dtype : kFloatTypes) {
            std::vector<std::vector<std::byte>> results;
            for (const cpu::Isa isa : isas) {
                const cpu::Kernels& kernels = cpu::kernels_for(isa);
                std::vector<std::byte> out(static_cast<std::size_t>(n) * 20);
                const auto part = [&](int i) {
                    return out.data() +
                           static_cast<std::size_t>(n) * 4 * static_cast<std::size_t>(i);
                };
                kernels.rms_norm(a.data(), b.data(), 1e-6f, n, dtype, part(0));
                kernels.silu_rows(n / cpu::kPanel, 1 + n % 16, a.data(), b.data(), nullptr, dtype,
                                  part(1), 16);
                std::memcpy(part(2), a.data(), static_cast<std::size_t>(n) * 4);
                kernels.rope(reinterpret_cast<float*>(part(2)), b.data(), 1, n);
                const cpu::RunStats stats = kernels.run_stats(a.data(), n);
                std::memcpy(part(3), &stats.max, 4);
                std::memcpy(part(3) + 4, &stats.sum, 4);
                // A norm in place, as norm_heads has it.
                std::memcpy(part(4), b.data(), static_cast<std::size_t>(n) * 4);
                auto* head = reinterpret_cast<float*>(part(4));
                kernels.rms_norm(head, a.data(), 1e-6f, n, DType::f32, head);
                results.push_back(out);
            }
            for (const auto& result : results) CHECK(result == results[0]);
        }
    }
}
