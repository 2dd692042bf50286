#pragma once
// What a tensor core makes of sums of 16-bit products in f32, to the bit, by the models that were
// published with tests on the chips (MMA-Sim, arXiv 2511.10909; arXiv 2512.07004):
//
//   * some products and the old sum are added as one: each term is cut, toward zero, to so many
//     binary digits behind the largest exponent among the terms; the rest is added exactly, and the
//     sum is cut, toward zero, to f32;
//   * a product's exponent is the sum of its factors', whatever its significand, which lies in
//     [1, 4); a subnormal number has the smallest exponent of its type, and zero none;
//   * what is not finite follows IEEE 754, with one NaN;
//   * sm_90, mma.sync and wgmma: 16 products at once and 25 digits; sm_80: 8 and 24.

#include <bit>
#include <cstddef>
#include <cstdint>

namespace emulator {

struct TensorCore {
    int digits;         ///< behind the largest exponent
    std::size_t terms;  ///< products that are added at once: 8 or 16
};
inline constexpr TensorCore kHopper{25, 16}, kAmpere{24, 8};
/// The emulated device's.
const TensorCore& tensor_core();

/// The least exponent of a type, as a power of two.
inline constexpr float kLeastPowerF32 = 0x1p-126f, kLeastPowerBf16 = 0x1p-126f,
                       kLeastPowerF16 = 0x1p-14f;

/// A number's exponent as a power of two: 0 for zero, infinity for what is not finite.
inline float power_of(float value, float least) {
    const float power = std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0x7f800000u);
    return value == 0 ? 0 : power < least ? least : power;
}

/// 16 factors along k.
struct RowFactors {
    alignas(16) float value[16], power[16];
    void set(std::size_t k, float to, float least) {
        value[k] = to;
        power[k] = power_of(to, least);
    }
};
/// Those of eight sums.
struct ColumnFactors {
    alignas(16) float value[16][8], power[16][8];
    void set(std::size_t k, std::size_t column, float to, float least) {
        value[k][column] = to;
        power[k][column] = power_of(to, least);
    }
};

/// sums[i] += the 16 products of `row` and column i.
void add_products(const TensorCore& core, const RowFactors& row, const ColumnFactors& columns,
                  float (&sums)[8]);

}  // namespace emulator
