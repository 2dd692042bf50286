#pragma once
// Sixteen floats in plain C++, for processors without a file of their own. These definitions are
// the meaning of the functions of the same names in vec_avx2.h and vec_avx512.h.

#include <cstdint>

namespace {

struct Vec {
    float v[16];
};
inline Vec zero() {
    return Vec{};
}
inline Vec load(const float* p) {
    Vec a;
    for (int i = 0; i < 16; ++i) a.v[i] = p[i];
    return a;
}
inline void store(float* p, const Vec& a) {
    for (int i = 0; i < 16; ++i) p[i] = a.v[i];
}
inline Vec broadcast(float x) {
    Vec a;
    for (float& lane : a.v) lane = x;
    return a;
}
/// a · b + c with one rounding.
inline Vec fma(const Vec& a, const Vec& b, const Vec& c) {
    Vec r;
    for (int i = 0; i < 16; ++i) r.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
    return r;
}
inline Vec operator+(const Vec& a, const Vec& b) {
    Vec r;
    for (int i = 0; i < 16; ++i) r.v[i] = a.v[i] + b.v[i];
    return r;
}
inline Vec operator-(const Vec& a, const Vec& b) {
    Vec r;
    for (int i = 0; i < 16; ++i) r.v[i] = a.v[i] - b.v[i];
    return r;
}
inline Vec operator*(const Vec& a, const Vec& b) {
    Vec r;
    for (int i = 0; i < 16; ++i) r.v[i] = a.v[i] * b.v[i];
    return r;
}
/// The larger of each lane; b if one of them is NaN.
inline Vec larger(const Vec& a, const Vec& b) {
    Vec r;
    for (int i = 0; i < 16; ++i) r.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
    return r;
}
/// All lanes folded as a tree: i with i + 8, then i + 4, i + 2, i + 1.
inline float sum_of_lanes(Vec a) {
    for (int width = 8; width > 0; width /= 2) {
        for (int i = 0; i < width; ++i) a.v[i] += a.v[i + width];
    }
    return a.v[0];
}
/// Lane r ← the lanes of rows[r] folded as a tree: i with i + 8, then i + 4, i + 2, i + 1. `op`
/// combines two Vec; rows[16] is used up.
template <typename Op>
Vec fold_rows(Vec* rows, Op op) {
    Vec r;
    for (int i = 0; i < 16; ++i) {
        for (int width = 8; width > 0; width /= 2) {
            Vec upper = rows[i];
            for (int lane = 0; lane < width; ++lane) upper.v[lane] = rows[i].v[lane + width];
            rows[i] = op(rows[i], upper);
        }
        r.v[i] = rows[i].v[0];
    }
    return r;
}
/// Lanes [begin, end) of a, the others −infinity.
inline Vec keep_lanes(const Vec& a, int begin, int end) {
    Vec r;
    for (int i = 0; i < 16; ++i) r.v[i] = begin <= i && i < end ? a.v[i] : -__builtin_inff();
    return r;
}
/// 2^n where the lanes of a are n + 1.5·2^23, −126 ≤ n ≤ 127.
inline Vec power_of_two(const Vec& a) {
    Vec r;
    for (int i = 0; i < 16; ++i) {
        const std::uint32_t exponent = __builtin_bit_cast(std::uint32_t, a.v[i]) << 23;
        r.v[i] = __builtin_bit_cast(float, exponent + 0x3f800000u);
    }
    return r;
}
/// a, or 0 where x < limit.
inline Vec zero_below(const Vec& a, const Vec& x, float limit) {
    Vec r;
    for (int i = 0; i < 16; ++i) r.v[i] = x.v[i] < limit ? 0.0f : a.v[i];
    return r;
}
/// Rounded to bf16, the lower halves zero; ties away from zero. A NaN stays one unless its payload
/// is full.
inline Vec round_bf16(const Vec& a) {
    Vec r;
    for (int i = 0; i < 16; ++i) {
        const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, a.v[i]) + 0x8000u;
        r.v[i] = __builtin_bit_cast(float, bits & 0xffff0000u);
    }
    return r;
}
/// Lanes 1, 0, 3, 2, …
inline Vec swap_pairs(const Vec& a) {
    Vec r;
    for (int i = 0; i < 16; ++i) r.v[i] = a.v[i ^ 1];
    return r;
}
/// Sixteen 32-bit patterns, such as pairs of bf16.
inline Vec load_bits(const void* p) {
    Vec a;
    __builtin_memcpy(a.v, p, sizeof a.v);
    return a;
}
inline void store_bits(void* p, const Vec& a) {
    __builtin_memcpy(p, a.v, sizeof a.v);
}
/// The second (odd) and first (even) bf16 of each pair as floats.
inline Vec odd_of_pairs(const Vec& a) {
    Vec r;
    for (int i = 0; i < 16; ++i) {
        r.v[i] = __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, a.v[i]) & 0xffff0000u);
    }
    return r;
}
inline Vec even_of_pairs(const Vec& a) {
    Vec r;
    for (int i = 0; i < 16; ++i)
        r.v[i] = __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, a.v[i]) << 16);
    return r;
}
inline void store_first_12(float* p, const Vec& a) {
    for (int i = 0; i < 12; ++i) p[i] = a.v[i];
}
/// rows[16] as a 16 × 16 matrix, transposed in place.
inline void transpose(Vec* rows) {
    for (int r = 0; r < 16; ++r) {
        for (int c = 0; c < r; ++c) {
            const float swapped = rows[r].v[c];
            rows[r].v[c] = rows[c].v[r];
            rows[c].v[r] = swapped;
        }
    }
}

/// binary16 to float, exact: subnormal halves become normal floats.
inline float widen_f16(std::uint16_t half) {
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
    const std::uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) {
        const std::uint32_t quiet = magnitude > 0x7c00u ? 0x400000u : 0u;
        return __builtin_bit_cast(float, sign | 0x7f800000u | quiet | ((magnitude & 0x3ffu) << 13));
    }
    // Read as a float with the half's exponent field, then multiply by 2^112 to move the bias from
    // 15 to 127.
    const float value = __builtin_bit_cast(float, magnitude << 13) * 0x1p112f;
    return __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, value) | sign);
}
/// Float to binary16, round to nearest even, with subnormals and overflow to infinity.
inline std::uint16_t narrow_f16(float value) {
    const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value);
    const std::uint32_t sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
    std::uint32_t half;
    if (magnitude > 0x7f800000u) {
        half = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
    } else if (magnitude >= 0x47800000u) {  // 2^16 and above, infinity
        half = 0x7c00u;
    } else if (magnitude <
               0x38800000u) {  // below 2^-14: adding 0.5 aligns and rounds the subnormal
        const float aligned = __builtin_bit_cast(float, magnitude) + 0.5f;
        half = __builtin_bit_cast(std::uint32_t, aligned) - 0x3f000000u;
    } else {
        half = (magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13;
    }
    return static_cast<std::uint16_t>(sign | half);
}
/// Float to bf16, round to nearest even; a NaN stays one.
inline std::uint16_t narrow_bf16(float value) {
    const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value);
    const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const std::uint32_t quiet_nan = (bits >> 16) | 0x40u;
    return static_cast<std::uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? quiet_nan : rounded);
}
inline void store_bf16(std::uint16_t* p, const Vec& a) {
    for (int i = 0; i < 16; ++i) p[i] = narrow_bf16(a.v[i]);
}
inline Vec load_bf16(const std::uint16_t* p) {
    Vec a;
    for (int i = 0; i < 16; ++i) {
        a.v[i] = __builtin_bit_cast(float, static_cast<std::uint32_t>(p[i]) << 16);
    }
    return a;
}
inline Vec load_f16(const std::uint16_t* p) {
    Vec a;
    for (int i = 0; i < 16; ++i) a.v[i] = widen_f16(p[i]);
    return a;
}
inline void store_f16(std::uint16_t* p, const Vec& a) {
    for (int i = 0; i < 16; ++i) p[i] = narrow_f16(a.v[i]);
}
inline Vec round_f16(const Vec& a) {
    Vec r;
    for (int i = 0; i < 16; ++i) r.v[i] = widen_f16(narrow_f16(a.v[i]));
    return r;
}

}  // namespace
