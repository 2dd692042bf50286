// What kernels take for granted about the machine's instructions, held against the layouts as
// NVIDIA publishes them and not as our kernels use them; on the emulated device, and on a real one
// as a part of gpu_tests. Where two statements of a layout exist, the tables here are made from
// both:
//   PTX ISA 9.2, "Matrix Fragments for mma.m16n8k16 with floating point type" and "ldmatrix";
//   CUTLASS (468e0ea, 474c1fd), cute/atom/mma_traits_sm80.hpp and copy_traits_sm75.hpp, layouts of
//   SM80_16x8x16_F32BF16BF16F32_TN, SM75_U32x4_LDSM_N and SM75_U16x8_LDSM_T.

#include "instructions.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "cuda_emulator/device_data.h"

using namespace muster;
using muster::test::DeviceBytes;
using muster::test::RandomInput;

namespace {

constexpr DType kTypes[] = {DType::bf16, DType::f16};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Row and column in the matrix of what a register of lane 0 holds, in its low half.
struct Place {
    int row, column;
    bool operator==(const Place&) const = default;
};
// PTX ISA: groupID = lane / 4 goes along rows of a and d and along columns of b,
// threadID_in_group · 2 = lane mod 4 · 2 and the half along the other side.
constexpr Place kA[4] = {{0, 0}, {8, 0}, {0, 8}, {8, 8}};  // a0 a1, a2 a3, a4 a5, a6 a7
constexpr Place kB[2] = {{0, 0}, {8, 0}};                  // b0 b1, b2 b3
constexpr Place kD[4] = {{0, 0}, {0, 1}, {8, 0}, {8, 1}};  // c0, c1, c2, c3
Place place_of_a(int lane, int i, int half) {
    return {kA[i].row + lane / 4, kA[i].column + lane % 4 * 2 + half};
}
Place place_of_b(int lane, int i, int half) {
    return {kB[i].row + lane % 4 * 2 + half, kB[i].column + lane / 4};
}
Place place_of_d(int lane, int i) {
    return {kD[i].row + lane / 4, kD[i].column + lane % 4 * 2};
}

std::uint16_t bits_of(DType type, float value) {
    return type == DType::f16 ? to_f16(value) : to_bf16(value);
}
template <typename T>
std::vector<T> fetch(const DeviceBytes& device, std::size_t n) {
    std::vector<T> host(n);
    REQUIRE(cudaMemcpy(host.data(), device.as<T>(), n * sizeof(T), cudaMemcpyDeviceToHost) ==
            cudaSuccess);
    return host;
}

/// d + a · b of row-major matrices, through registers filled and read by the tables.
std::vector<float> multiply(DType type, const std::vector<float>& a, const std::vector<float>& b,
                            const std::vector<float>& d) {
    std::vector<std::uint32_t> left(128), right(64);
    std::vector<float> sums(128), result(128);
    const auto add = [&](std::uint32_t& to, float value, int half) {
        to |= std::uint32_t{bits_of(type, value)} << (16 * half);
    };
    for (int lane = 0; lane < 32; ++lane) {
        for (int half = 0; half < 2; ++half) {
            for (int i = 0; i < 4; ++i) {
                const Place p = place_of_a(lane, i, half);
                add(left[static_cast<std::size_t>(lane * 4 + i)],
                    a[static_cast<std::size_t>(p.row * 16 + p.column)], half);
            }
            for (int i = 0; i < 2; ++i) {
                const Place p = place_of_b(lane, i, half);
                add(right[static_cast<std::size_t>(lane * 2 + i)],
                    b[static_cast<std::size_t>(p.row * 8 + p.column)], half);
            }
        }
        for (int i = 0; i < 4; ++i) {
            const Place p = place_of_d(lane, i);
            sums[static_cast<std::size_t>(lane * 4 + i)] =
                d[static_cast<std::size_t>(p.row * 8 + p.column)];
        }
    }
    const DeviceBytes device_a(left), device_b(right), device_d(sums);
    test::run_mma(type, device_a.as<std::uint32_t>(), device_b.as<std::uint32_t>(),
                  device_d.as<float>());
    sums = fetch<float>(device_d, 128);
    for (int lane = 0; lane < 32; ++lane)
        for (int i = 0; i < 4; ++i) {
            const Place p = place_of_d(lane, i);
            result[static_cast<std::size_t>(p.row * 8 + p.column)] =
                sums[static_cast<std::size_t>(lane * 4 + i)];
        }
    return result;
}

}  // namespace

TEST_CASE("instructions: the published layouts agree with each other") {
    // CUTLASS: ((4, 8), (2, 2, 2)) : ((32, 1), (16, 8, 128)) into column-major [16, 16] for a,
    // ((4, 8), (2, 2)) : ((16, 1), (8, 64)) into [8, 16] for bᵀ,
    // ((4, 8), (2, 2)) : ((32, 1), (16, 8)) into [16, 8] for d.
    for (int lane = 0; lane < 32; ++lane) {
        const int t = lane % 4, g = lane / 4;
        for (int half = 0; half < 2; ++half) {
            for (int i = 0; i < 4; ++i) {
                const int at = 32 * t + g + 16 * half + 8 * (i % 2) + 128 * (i / 2);
                CHECK(place_of_a(lane, i, half) == Place{at % 16, at / 16});
            }
            for (int i = 0; i < 2; ++i) {
                const int at = 16 * t + g + 8 * half + 64 * i;
                CHECK(place_of_b(lane, i, half) == Place{at / 8, at % 8});
            }
        }
        for (int i = 0; i < 4; ++i) {
            const int at = 32 * t + g + 16 * (i % 2) + 8 * (i / 2);
            CHECK(place_of_d(lane, i) == Place{at % 16, at / 16});
        }
    }
}

TEST_CASE("instructions: the matrix product finds its operands where they are published to be") {
    RandomInput input;
    for (const DType type : kTypes) {
        CAPTURE(name_of(type));
        std::vector<float> a(256), b(128), d(128);
        for (auto* matrix : {&a, &b, &d})  // whole numbers: exact in any order of additions
            for (float& value : *matrix) value = static_cast<float>(input.integer(-40, 40));
        const std::vector<float> got = multiply(type, a, b, d);
        for (std::size_t row = 0; row < 16; ++row)
            for (std::size_t n = 0; n < 8; ++n) {
                float sum = d[row * 8 + n];
                for (std::size_t k = 0; k < 16; ++k) sum += a[row * 16 + k] * b[k * 8 + n];
                CHECK(got[row * 8 + n] == sum);
            }
    }
}

// Attention counts on it: a page that a row does not see has weights of 0, and must leave the row's
// sums to the last bit, however large its values are. (How the machine aligns what it adds, and
// that zeros do not count there, is published by nobody who built it; MMA-Sim, arXiv 2511.10909,
// found it.)
TEST_CASE("instructions: products with zero leave a sum as it was") {
    RandomInput input;
    for (const DType type : kTypes) {
        CAPTURE(name_of(type));
        const float largest = type == DType::f16 ? 65504.0f : 0x1.fep+127f;
        const std::vector<float> zeros(256, 0.0f);
        std::vector<float> b(128), d = input.floats(128);
        for (float& value : b) value = input.integer(0, 1) == 0 ? largest : -largest;
        for (float& value : d) value = std::ldexp(value, static_cast<int>(input.integer(-90, 90)));
        const std::vector<float> got = multiply(type, zeros, b, d);
        CHECK(std::memcmp(got.data(), d.data(), d.size() * sizeof(float)) == 0);
        b.assign(128, kInfinity);  // zero times infinity is none of them
        CHECK(std::isnan(multiply(type, zeros, b, d)[0]));
    }
}

TEST_CASE("instructions: matrices come out of shared memory as published") {
    RandomInput input;
    constexpr std::int32_t kStride = 24, kRows = 32;  // 48 bytes, a multiple of 16
    std::vector<std::uint16_t> elements(kStride * kRows);
    std::iota(elements.begin(), elements.end(), std::uint16_t{1000});
    std::vector<std::int32_t> starts(kRows);
    std::iota(starts.begin(), starts.end(), 0);
    std::shuffle(starts.begin(), starts.end(), input.random);
    for (std::int32_t& start : starts) start *= kStride;
    const DeviceBytes device_elements(elements), device_starts(starts), registers(32 * 16);
    for (const bool transposed : {false, true}) {
        CAPTURE(transposed);
        test::run_ldmatrix(transposed, device_elements.as<std::uint16_t>(), kStride * kRows,
                           device_starts.as<std::int32_t>(), registers.as<std::uint32_t>());
        const auto got = fetch<std::uint32_t>(registers, 128);
        for (int lane = 0; lane < 32; ++lane)
            for (int i = 0; i < 4; ++i)
                for (int half = 0; half < 2; ++half) {
                    // PTX ISA: a row per four lanes; transposed, a column per four lanes.
                    const int along = lane % 4 * 2 + half, group = lane / 4;
                    const Place p = transposed ? Place{along, group} : Place{group, along};
                    // CUTLASS, in elements: 32 : 2 · lane + half + 64 · register;
                    // transposed (4, 8) : 16 · (lane mod 4) + lane / 4 + 8 · half + 64 · register.
                    CHECK(i * 64 + p.row * 8 + p.column ==
                          (transposed ? 16 * (lane % 4) + lane / 4 + 8 * half : 2 * lane + half) +
                              64 * i);
                    const auto at = static_cast<std::size_t>(
                        starts[static_cast<std::size_t>(i * 8 + p.row)] + p.column);
                    CHECK((got[static_cast<std::size_t>(lane * 4 + i)] >> (16 * half) & 0xffffu) ==
                          elements[at]);
                }
    }
}

TEST_CASE("instructions: a copy reads what it is told to and fills up with zeros") {
    RandomInput input;
    std::vector<std::uint8_t> bytes(96 * 16);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(input.integer(1, 255));
    const DeviceBytes source(bytes), result(96 * 16);
    std::vector<const void*> from(96);
    std::vector<std::int32_t> reads(96);
    for (std::size_t i = 0; i < 96; ++i) {
        constexpr std::int32_t kReads[] = {16, 0, 8, 2, 16};
        reads[i] = kReads[i % 5];
        // What is not read need not be there: rows of a tile beyond the last of the weights.
        from[i] = reinterpret_cast<const void*>(
            reinterpret_cast<std::uintptr_t>(source.as<std::byte>() + i * 16) +
            (reads[i] == 0 ? std::uintptr_t{1} << 40 : 0));
    }
    const DeviceBytes device_from(from), device_reads(reads);
    test::run_copies(device_from.as<const void*>(), device_reads.as<std::int32_t>(),
                     result.as<unsigned char>());
    const auto got = fetch<std::uint8_t>(result, 96 * 16);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        CHECK(got[i] == (static_cast<std::int32_t>(i % 16) < reads[i / 16] ? bytes[i] : 0));
}

TEST_CASE("instructions: powers of two at the ends of what attention asks for") {
    constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> x = {0.0f,    -0.0f,     -1e-40f, -kInfinity, -3e38f,  -150.0f,
                            -128.0f, kInfinity, 128.0f,  kNaN,       -125.5f, -1.0f};
    RandomInput input;
    while (x.size() < 32) x.push_back(-std::abs(input.floats(1)[0]) * 40.0f);
    const DeviceBytes device_x(x), device_y(32 * 4);
    test::run_exp2(device_x.as<float>(), device_y.as<float>());
    const auto y = fetch<float>(device_y, 32);
    for (const std::size_t i : {0, 1, 2}) CHECK(y[i] == 1.0f);     // factors that change nothing
    for (const std::size_t i : {3, 4, 5, 6}) CHECK(y[i] == 0.0f);  // no denormal numbers
    for (const std::size_t i : {7, 8}) CHECK(y[i] == kInfinity);
    CHECK(std::isnan(y[9]));
    for (std::size_t i = 10; i < 32; ++i) {
        CAPTURE(x[i]);
        const double exact = std::exp2(static_cast<double>(x[i]));
        CHECK(std::abs(static_cast<double>(y[i]) - exact) <= 0x1p-21 * exact + 0x1p-126);
    }
}

TEST_CASE("instructions: the first of a pair lies in the low half, both rounded to even") {
    for (const DType type : kTypes) {
        CAPTURE(name_of(type));
        const float unit = type == DType::f16 ? 0x1p-10f : 0x1p-7f;  // of numbers from 1 on
        const std::array<float, 6> some = {1.0f,  -2.5f,    1 + unit / 2, 1 + unit * 1.5f,
                                           -0.0f, kInfinity};
        std::vector<float> x(64);
        for (std::size_t i = 0; i < 64; ++i) x[i] = some[(i + i / 32) % some.size()];
        const DeviceBytes device_x(x), pairs(32 * 4);
        test::run_pack_pair(type, device_x.as<float>(), pairs.as<std::uint32_t>());
        const auto got = fetch<std::uint32_t>(pairs, 32);
        for (std::size_t lane = 0; lane < 32; ++lane) {
            CHECK((got[lane] & 0xffffu) == bits_of(type, x[lane]));
            CHECK((got[lane] >> 16) == bits_of(type, x[32 + lane]));
        }
    }
}
