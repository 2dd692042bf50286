#include "muster/tensor/dtype.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace muster;

namespace {

// binary16 from its definition, slow and obvious.
double slow_from_f16(unsigned bits) {
    double sign = (bits & 0x8000u) != 0 ? -1 : 1;
    int exponent = static_cast<int>(bits >> 10 & 31u);
    double fraction = bits & 1023u;
    if (exponent == 31)
        return fraction == 0 ? sign * INFINITY : std::numeric_limits<double>::quiet_NaN();
    if (exponent == 0) return sign * std::ldexp(fraction, -24);
    return sign * std::ldexp(1024 + fraction, exponent - 25);
}

// The nearer of the two neighbours in binary16; the even one of two equally near.
std::uint16_t slow_to_f16(float value) {
    unsigned sign = std::signbit(value) ? 0x8000u : 0;
    double magnitude = std::fabs(static_cast<double>(value));
    unsigned low = 0, high = 0x7c00u;  // infinity counts as 2^16 when distances are compared
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        (slow_from_f16(middle) <= magnitude ? low : high) = middle;
    }
    if (std::isinf(magnitude)) return static_cast<std::uint16_t>(sign | high);
    double above = high == 0x7c00u ? 65536 : slow_from_f16(high);
    double to_low = magnitude - slow_from_f16(low), to_high = above - magnitude;
    bool take_high = to_high < to_low || (to_high == to_low && high % 2 == 0);
    return static_cast<std::uint16_t>(sign | (take_high ? high : low));
}

std::uint16_t slow_to_bf16(float value) {
    std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    std::uint32_t below = bits >> 16, rest = bits & 0xffffu;
    bool up = rest > 0x8000u || (rest == 0x8000u && below % 2 == 1);
    return static_cast<std::uint16_t>(below + (up ? 1 : 0));
}

float float_of(std::uint32_t bits) {
    return std::bit_cast<float>(bits);
}

}  // namespace

TEST_CASE("names and sizes") {
    for (DType dtype : {DType::f32, DType::f16, DType::bf16, DType::i32})
        CHECK(parse_dtype(name_of(dtype)) == dtype);
    CHECK(parse_dtype("torch.bfloat16") == DType::bf16);
    CHECK(parse_dtype("fp16") == DType::f16);
    CHECK(parse_dtype("f32") == DType::f32);
    CHECK_FALSE(parse_dtype("int4"));
    CHECK_FALSE(parse_dtype(""));
    CHECK(size_of(DType::f32) == 4);
    CHECK(size_of(DType::bf16) == 2);
}

TEST_CASE("all 65536 binary16 values are read exactly and written back unchanged") {
    int wrong = 0;
    for (unsigned bits = 0; bits < 0x10000u; ++bits) {
        auto half = static_cast<std::uint16_t>(bits);
        double expected = slow_from_f16(bits);
        float value = from_f16(half);
        if (std::isnan(expected)) {
            bool quiet_nan = std::isnan(value) && (to_f16(value) & 0x7e00u) == 0x7e00u;
            if (!quiet_nan || (to_f16(value) & 0x8000u) != (bits & 0x8000u)) ++wrong;
        } else if (value != expected || std::signbit(value) != std::signbit(expected) ||
                   to_f16(value) != half) {
            ++wrong;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("to_f16 rounds to nearest even around every boundary") {
    int wrong = 0;
    for (unsigned bits = 0; bits < 0x7c00u; ++bits) {
        // Each binary16 value, the middle to its successor, and their neighbours among floats.
        auto here = static_cast<float>(slow_from_f16(bits));
        double next = bits + 1 == 0x7c00u ? 65536 : slow_from_f16(bits + 1);
        auto middle = static_cast<float>((static_cast<double>(here) + next) / 2);
        for (float x : {here, middle}) {
            for (float value : {x, std::nextafterf(x, INFINITY), std::nextafterf(x, -INFINITY)}) {
                if (to_f16(value) != slow_to_f16(value)) ++wrong;
                if (to_f16(-value) != slow_to_f16(-value)) ++wrong;
            }
        }
    }
    CHECK(wrong == 0);
    CHECK(to_f16(65519.996f) == 0x7bffu);
    CHECK(to_f16(65520.0f) == 0x7c00u);
    CHECK(to_f16(-INFINITY) == 0xfc00u);
    CHECK(to_f16(std::numeric_limits<float>::max()) == 0x7c00u);
    CHECK(to_f16(std::numeric_limits<float>::denorm_min()) == 0);
    CHECK(to_f16(-0.0f) == 0x8000u);
}

TEST_CASE("conversions agree with the slow ones over a sweep of all floats") {
    int wrong = 0;
    for (std::uint64_t bits = 0; bits < 0x100000000u; bits += 40503) {
        float value = float_of(static_cast<std::uint32_t>(bits));
        if (std::isnan(value)) {
            if (!std::isnan(from_bf16(to_bf16(value))) || !std::isnan(from_f16(to_f16(value))))
                ++wrong;
        } else if (to_f16(value) != slow_to_f16(value) || to_bf16(value) != slow_to_bf16(value)) {
            ++wrong;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("bfloat16 rounds to nearest even and keeps every one of its own values") {
    int wrong = 0;
    for (unsigned bits = 0; bits < 0x10000u; ++bits) {
        auto half = static_cast<std::uint16_t>(bits);
        float value = from_bf16(half);
        if (std::isnan(value) ? !std::isnan(from_bf16(to_bf16(value))) : to_bf16(value) != half)
            ++wrong;
    }
    CHECK(wrong == 0);
    CHECK(to_bf16(float_of(0x3f808000u)) == 0x3f80u);  // half way, down to even
    CHECK(to_bf16(float_of(0x3f818000u)) == 0x3f82u);  // half way, up to even
    CHECK(to_bf16(float_of(0x3f808001u)) == 0x3f81u);
    CHECK(to_bf16(std::numeric_limits<float>::max()) == 0x7f80u);  // overflows to infinity
    CHECK(std::isnan(from_bf16(to_bf16(float_of(0x7f800001u)))));  // payload in the lower half only
}
