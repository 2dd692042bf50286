// Sums whose exponents are usual take float arithmetic in which nothing is rounded, four at once;
// others take theirs apart.

#include "tensor_core.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace emulator {
namespace {

// Between these, exponents need no care: what f32 cannot hold of a product lies behind the last
// digit that is kept, and results are normal numbers of f32.
constexpr float kLeastUsual = 0x1p-60f, kMostUsual = 0x1p100f;

using Floats = float __attribute__((vector_size(16)));
using Integers = std::int32_t __attribute__((vector_size(16)));
using Words = std::uint32_t __attribute__((vector_size(16)));

Floats load(const float* from) {
    Floats v;
    __builtin_memcpy(&v, from, sizeof v);
    return v;
}
Floats all(float value) {
    return Floats{value, value, value, value};
}

/// The sums of a and b, cut toward zero to 24 digits.
Floats cut_sum(Integers a, Integers b) {
    Floats result;
    for (int i = 0; i < 4; ++i) {
        const double sum = static_cast<double>(a[i]) + static_cast<double>(b[i]);
        const auto bits = std::bit_cast<std::uint64_t>(sum) & ~((std::uint64_t{1} << 29) - 1);
        result[i] = static_cast<float>(std::bit_cast<double>(bits));
    }
    return result;
}

/// kTerms products from `first` on, of four columns from `column` on, added to sums; false if an
/// exponent is not usual, and nothing is done then.
template <std::size_t kTerms>
bool add_usual(int digits, const RowFactors& row, const ColumnFactors& columns, std::size_t first,
               std::size_t column, float* sums) {
    const Floats old = load(sums);
    Floats most;
    for (int i = 0; i < 4; ++i) most[i] = power_of(old[i], kLeastPowerF32);
    Floats odd = all(0);  // NaN if a factor is not finite
    for (std::size_t k = first; k < first + kTerms; ++k) {
        const Floats power = all(row.power[k]) * load(&columns.power[k][column]);
        most = power > most ? power : most;
        odd += power * all(0);
    }
    const Integers strange =
        ((most < all(kLeastUsual)) & (most != all(0))) | (most > all(kMostUsual)) | (odd != all(0));
    if ((strange[0] | strange[1] | strange[2] | strange[3]) != 0) return false;

    // 2^digits / most; where all terms are zero, something finite.
    Words bits = std::bit_cast<Words>(most);
    bits = (static_cast<std::uint32_t>(254 + digits) << 23) - bits;
    const auto scale = std::bit_cast<Floats>(bits);
    Integers parts[2] = {__builtin_convertvector(old * scale, Integers), Integers{}};
    for (std::size_t k = first; k < first + kTerms; ++k) {
        const Floats product = all(row.value[k]) * load(&columns.value[k][column]);
        // Eight of them are less than 2^30; sixteen might not fit.
        parts[k / 8 % 2] += __builtin_convertvector(product * scale, Integers);
    }
    const auto last = std::bit_cast<float>(static_cast<std::uint32_t>(127 - digits) << 23);
    const Floats result = cut_sum(parts[0], parts[1]) * (most * all(last));
    __builtin_memcpy(sums, &result, sizeof result);
    return true;
}

/// Cut toward zero to 24 digits, or to a multiple of the least subnormal number.
float cut_to_f32(double value) {
    if (value == 0) return 0;
    if (std::abs(value) >= 0x1p128)
        return std::copysign(std::numeric_limits<float>::infinity(), static_cast<float>(value));
    const int last = std::max(std::ilogb(value), -126) - 23;
    return static_cast<float>(std::ldexp(std::trunc(std::ldexp(value, -last)), last));
}

/// The same for one column, whatever its numbers are.
template <std::size_t kTerms>
float add_any(int digits, const RowFactors& row, const ColumnFactors& columns, std::size_t first,
              std::size_t column, float old) {
    double terms[kTerms + 1] = {static_cast<double>(old)}, sum = terms[0];
    const auto exponent_of = [](float power) { return power == 0 ? -999 : std::ilogb(power); };
    int most = exponent_of(power_of(old, kLeastPowerF32));
    for (std::size_t i = 0; i < kTerms; ++i) {
        const std::size_t k = first + i;
        terms[i + 1] =
            static_cast<double>(row.value[k]) * static_cast<double>(columns.value[k][column]);
        sum += terms[i + 1];
        most = std::max(most, exponent_of(row.power[k]) + exponent_of(columns.power[k][column]));
    }
    if (std::isnan(sum)) return std::bit_cast<float>(0x7fffffffu);
    if (std::isinf(sum)) return static_cast<float>(sum);
    double total = 0;
    for (const double term : terms) total += std::trunc(std::ldexp(term, digits - most));
    return cut_to_f32(std::ldexp(total, most - digits));
}

template <std::size_t kTerms>
void add(int digits, const RowFactors& row, const ColumnFactors& columns, float (&sums)[8]) {
    for (std::size_t first = 0; first < 16; first += kTerms) {
        for (std::size_t column = 0; column < 8; column += 4) {
            if (add_usual<kTerms>(digits, row, columns, first, column, sums + column)) continue;
            for (std::size_t i = column; i < column + 4; ++i)
                sums[i] = add_any<kTerms>(digits, row, columns, first, i, sums[i]);
        }
    }
}

}  // namespace

void add_products(const TensorCore& core, const RowFactors& row, const ColumnFactors& columns,
                  float (&sums)[8]) {
    if (core.terms == 16)
        add<16>(core.digits, row, columns, sums);
    else
        add<8>(core.digits, row, columns, sums);
}

}  // namespace emulator
