// Sums of tensor cores: worked out by hand where models of them part, and against a reference that
// knows a number only by its bits.

#include <doctest/doctest.h>
#include <tensor_core.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "muster/tensor/dtype.h"

using emulator::kAmpere;
using emulator::kHopper;
using emulator::TensorCore;
using muster::DType;

namespace {

// --- the reference ----------------------------------------------------------------------------

/// (−1)^negative · significand · 2^last, unless it is not finite.
struct Number {
    bool negative = false, infinite = false, nan = false;
    std::uint64_t significand = 0;
    int last = 0;      ///< exponent of the last digit
    int exponent = 0;  ///< of the digit before the point
};

/// Sign, `width` bits of exponent and `digits` of significand.
Number take_apart(std::uint32_t bits, int width, int digits) {
    const auto mask = [](int n) { return (std::uint32_t{1} << n) - 1; };
    const std::uint32_t field = bits >> digits & mask(width), rest = bits & mask(digits);
    const int bias = static_cast<int>(mask(width - 1));
    Number x;
    x.negative = (bits >> (width + digits) & 1u) != 0;
    x.infinite = field == mask(width) && rest == 0;
    x.nan = field == mask(width) && rest != 0;
    x.significand = field == 0 ? rest : rest | std::uint32_t{1} << digits;
    x.exponent = std::max(static_cast<int>(field), 1) - bias;
    x.last = x.exponent - digits;
    return x;
}
Number take_apart(std::uint16_t bits, DType type) {
    return type == DType::bf16 ? take_apart(bits, 8, 7) : take_apart(bits, 5, 10);
}
Number product(const Number& a, const Number& b) {
    const auto zero = [](const Number& x) { return x.significand == 0 && !x.infinite && !x.nan; };
    Number p;
    p.negative = a.negative != b.negative;
    p.nan = a.nan || b.nan || (a.infinite && zero(b)) || (b.infinite && zero(a));
    p.infinite = a.infinite || b.infinite;
    p.significand = a.significand * b.significand;
    p.last = a.last + b.last;
    p.exponent = a.exponent + b.exponent;
    return p;
}

std::uint64_t shifted(std::uint64_t n, int left) {
    return left >= 0 ? n << left : left > -64 ? n >> -left : 0;
}

/// The bits of the sum of all terms.
std::uint32_t sum_of(const std::vector<Number>& terms, int digits) {
    bool plus = false, minus = false, nan = false;
    int most = std::numeric_limits<int>::min();
    for (const Number& t : terms) {
        nan |= t.nan;
        plus |= t.infinite && !t.negative;
        minus |= t.infinite && t.negative;
        if (t.significand != 0) most = std::max(most, t.exponent);
    }
    if (nan || (plus && minus)) return 0x7fffffffu;
    if (plus || minus) return plus ? 0x7f800000u : 0xff800000u;
    const int unit = most - digits;
    std::int64_t sum = 0;
    for (const Number& t : terms) {
        if (t.significand == 0) continue;
        const auto cut = static_cast<std::int64_t>(shifted(t.significand, t.last - unit));
        sum += t.negative ? -cut : cut;
    }
    if (sum == 0) return 0;
    const auto magnitude = static_cast<std::uint64_t>(std::abs(sum));
    const int top = unit + static_cast<int>(std::bit_width(magnitude)) - 1;
    const int last = std::max(top, -126) - 23;
    const auto significand = static_cast<std::uint32_t>(shifted(magnitude, unit - last));
    const std::uint32_t sign = significand != 0 && sum < 0 ? 0x80000000u : 0;
    if (top > 127) return sign | 0x7f800000u;
    // The leading digit adds one to the exponent's field; a subnormal number has none.
    return sign | ((static_cast<std::uint32_t>(last + 23 + 126) << 23) + significand);
}

// --- both by the same call --------------------------------------------------------------------

using Bits = std::vector<std::uint16_t>;  ///< 16 of them

std::uint32_t expected(const TensorCore& core, DType type, const Bits& a, const Bits& b, float c) {
    auto bits = std::bit_cast<std::uint32_t>(c);
    for (std::size_t first = 0; first < 16; first += core.terms) {
        std::vector<Number> terms = {take_apart(bits, 8, 23)};
        for (std::size_t k = first; k < first + core.terms; ++k)
            terms.push_back(product(take_apart(a[k], type), take_apart(b[k], type)));
        bits = sum_of(terms, core.digits);
    }
    return bits;
}

/// Column `column`; the others hold other numbers.
std::uint32_t computed(const TensorCore& core, DType type, const Bits& a, const Bits& b, float c,
                       std::size_t column) {
    const auto widen = type == DType::bf16 ? muster::from_bf16 : muster::from_f16;
    const float least = type == DType::bf16 ? emulator::kLeastPowerBf16 : emulator::kLeastPowerF16;
    emulator::RowFactors row;
    emulator::ColumnFactors columns;
    float sums[8];
    for (std::size_t k = 0; k < 16; ++k) {
        row.set(k, widen(a[k]), least);
        for (std::size_t n = 0; n < 8; ++n)
            columns.set(k, n, n == column ? widen(b[k]) : static_cast<float>(n), least);
    }
    for (std::size_t n = 0; n < 8; ++n) sums[n] = n == column ? c : 1;
    emulator::add_products(core, row, columns, sums);
    return std::bit_cast<std::uint32_t>(sums[column]);
}

/// c + Σ a · b, of both.
float sum(const TensorCore& core, DType type, float c, std::vector<std::pair<float, float>> ab) {
    const auto bits_of = [&](float value) {
        const std::uint16_t bits =
            type == DType::bf16 ? muster::to_bf16(value) : muster::to_f16(value);
        const float back = type == DType::bf16 ? muster::from_bf16(bits) : muster::from_f16(bits);
        CHECK((back == value || std::isnan(value)));
        return bits;
    };
    ab.resize(16);
    Bits a, b;
    for (const auto& [left, right] : ab) {
        a.push_back(bits_of(left));
        b.push_back(bits_of(right));
    }
    const std::uint32_t bits = computed(core, type, a, b, c, 5);
    CHECK(bits == expected(core, type, a, b, c));
    return std::bit_cast<float>(bits);
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

TEST_CASE("sums of tensor cores, worked out by hand") {
    for (const TensorCore& core : {kHopper, kAmpere}) {
        for (const DType type : {DType::bf16, DType::f16}) {
            const auto add = [&](float c, std::vector<std::pair<float, float>> ab) {
                return sum(core, type, c, std::move(ab));
            };
            // 1 + 3/4 of the last digit: toward zero, not to the nearest.
            CHECK(add(1, {{1.5f * 0x1p-12f, 0x1p-12f}}) == 1);
            CHECK(add(-1, {{-1.5f * 0x1p-12f, 0x1p-12f}}) == -1);
            // Half a unit each, together one: added as one.
            CHECK(add(1, {{0x1p-12f, 0x1p-12f}, {0x1p-12f, 0x1p-12f}}) == 1 + 0x1p-23f);
            // A term that is cut becomes less, never more: zero here, not −2^−25.
            CHECK(add(1, {{-0x1p-13f, 0x1p-13f}}) == 1);
            // 1.5 · 1.5 is 2.25 of exponent 0: a digit more is kept.
            const float least = std::ldexp(1.0f, -core.digits + 12);
            CHECK(add(0, {{1.5f, 1.5f}, {-1.5f, 1.5f}, {least, 0x1p-12f}}) == least * 0x1p-12f);
            CHECK(add(0, {{1.5f, 1.5f}, {-1.5f, 1.5f}, {least, 0x1p-13f}}) == 0);
            // Cancellation leaves what is below, to the last digit that was kept.
            CHECK(add(-4096, {{64, 64}, {0.125f, 0.125f}}) == 0x1p-6f);
            // No sign of zero.
            CHECK_FALSE(std::signbit(add(-0.0f, {{-1, 0}})));
            CHECK_FALSE(std::signbit(add(1, {{-1, 1}})));
            CHECK(add(kInfinity, {{1, 1}}) == kInfinity);
            CHECK(add(1, {{-1, kInfinity}, {2, 2}}) == -kInfinity);
            for (const float nan : {add(kInfinity, {{-1, kInfinity}}), add(0, {{0, kInfinity}}),
                                    add(std::numeric_limits<float>::quiet_NaN(), {{1, 1}})})
                CHECK(std::bit_cast<std::uint32_t>(nan) == 0x7fffffffu);
        }
        // Subnormal 2^−24 has exponent −14, and hides 2^−40.
        CHECK(sum(core, DType::f16, 0, {{0x1p-24f, 1}, {0x1p-24f, 0x1p-16f}}) == 0x1p-24f);
        // Zero has no exponent, and hides nothing.
        for (const float small : {0x1p-15f, 0x1p-40f})
            CHECK(sum(core, DType::bf16, 0, {{0, 0x1p127f}, {small, small}}) == small * small);
        // As many large terms as there can be.
        const std::vector<std::pair<float, float>> large(16, {1.9921875f, 1.9921875f});
        CHECK(sum(core, DType::bf16, 1.75f, large) == 1.75f + 16 * 1.9921875f * 1.9921875f);
        // The ends of f32.
        CHECK(sum(core, DType::bf16, 0, {{-0x1p-70f, 1.5f * 0x1p-75f}}) == -1.5f * 0x1p-145f);
        CHECK(sum(core, DType::bf16, 0, {{0x1p-74f, 1.5f * 0x1p-75f}}) == 0x1p-149f);
        CHECK(sum(core, DType::bf16, 0, {{0x1p-70f, 0x1p-80f}}) == 0);
        CHECK(sum(core, DType::bf16, -0x1p127f, {{-2, 0x1p126f}}) == -kInfinity);
    }
    // 25 digits or 24: four quarters of the last digit of 1.
    const std::vector<std::pair<float, float>> quarters(4, {0x1p-12f, 0x1p-13f});
    CHECK(sum(kHopper, DType::bf16, 1, quarters) == 1 + 0x1p-23f);
    CHECK(sum(kAmpere, DType::bf16, 1, quarters) == 1);
    // 16 products at once, or 8 and 8: 2^24 + 1 is cut between them.
    std::vector<std::pair<float, float>> halves(9);
    halves[0] = {4096, 4096};
    halves[1] = {1, 1};
    halves[8] = {-4096, 4096};
    CHECK(sum(kHopper, DType::f16, 0, halves) == 1);
    CHECK(sum(kAmpere, DType::f16, 0, halves) == 0);
}

TEST_CASE("sums of tensor cores have the bits of the reference") {
    const unsigned seed = std::random_device{}();
    INFO("seed ", seed);
    std::mt19937 random(seed);
    const auto integer = [&](int low, int high) {
        return std::uniform_int_distribution<int>(low, high)(random);
    };
    std::normal_distribution<float> normal;
    // Of any bits; of exponents so far apart; and so many of them zeros.
    for (const int spread : {-1, 0, 8, 30, 120}) {
        for (const TensorCore& core : {kHopper, kAmpere}) {
            for (const DType type : {DType::bf16, DType::f16}) {
                const int middle = type == DType::f16 || spread > 100 ? 0 : integer(-50, 50);
                const auto number = [&] {
                    return std::ldexp(normal(random), middle + integer(-spread, spread));
                };
                const auto bits = [&]() -> std::uint16_t {
                    if (spread < 0) return static_cast<std::uint16_t>(random());
                    if (integer(0, 9) == 0) return 0;
                    return type == DType::bf16 ? muster::to_bf16(number())
                                               : muster::to_f16(number());
                };
                for (int i = 0; i < 2000; ++i) {
                    Bits a(16), b(16);
                    for (std::uint16_t& x : a) x = bits();
                    for (std::uint16_t& x : b) x = bits();
                    const float c = spread < 0
                                        ? std::bit_cast<float>(static_cast<std::uint32_t>(random()))
                                    : integer(0, 3) == 0 ? 0
                                                         : number() * number();
                    // Something cancels.
                    if (integer(0, 1) == 0 && spread >= 0) {
                        a[9] = static_cast<std::uint16_t>(a[2] ^ 0x8000u);
                        b[9] = b[2];
                    }
                    const auto got =
                        computed(core, type, a, b, c, static_cast<std::size_t>(integer(0, 7)));
                    const std::uint32_t want = expected(core, type, a, b, c);
                    if (got == want) continue;
                    CAPTURE(spread);
                    CAPTURE(core.digits);
                    CAPTURE(name_of(type));
                    REQUIRE(got == want);
                }
            }
        }
    }
}
