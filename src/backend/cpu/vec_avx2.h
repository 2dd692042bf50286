#pragma once
// Sixteen floats in two AVX2 registers. See vec_generic.h for the meaning of each function.

#include <immintrin.h>

#include <cstdint>

namespace {

struct Vec {
    __m256 lo, hi;
};
inline Vec zero() {
    return {_mm256_setzero_ps(), _mm256_setzero_ps()};
}
inline Vec load(const float* p) {
    return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
inline void store(float* p, Vec a) {
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
}
inline Vec broadcast(float x) {
    return {_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
inline Vec fma(Vec a, Vec b, Vec c) {
    return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
inline Vec operator+(Vec a, Vec b) {
    return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
inline Vec operator-(Vec a, Vec b) {
    return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
inline Vec operator*(Vec a, Vec b) {
    return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
inline Vec larger(Vec a, Vec b) {
    return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
inline float sum_of_lanes(Vec a) {
    const __m256 eight = _mm256_add_ps(a.lo, a.hi);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
template <typename Op>
Vec fold_rows(Vec* rows, Op op) {
    __m256 halves[2];
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
        // Two rows side by side in the halves of a Vec, so that one op folds both.
        __m256 a[4], b[2];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            const Vec x = rows[8 * half + i], y = rows[8 * half + i + 4];
            const Vec eight = op(Vec{x.lo, y.lo}, Vec{x.hi, y.hi});
            const __m256 low = _mm256_permute2f128_ps(eight.lo, eight.hi, 0x20);
            const __m256 high = _mm256_permute2f128_ps(eight.lo, eight.hi, 0x31);
            a[i] = op(Vec{low, low}, Vec{high, high}).lo;  // row i, row i + 4
        }
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) {
            const __m256 low = _mm256_shuffle_ps(a[2 * i], a[2 * i + 1], 0x44);
            const __m256 high = _mm256_shuffle_ps(a[2 * i], a[2 * i + 1], 0xee);
            b[i] = op(Vec{low, low}, Vec{high, high}).lo;
        }
        const __m256 low = _mm256_shuffle_ps(b[0], b[1], 0x88);
        const __m256 high = _mm256_shuffle_ps(b[0], b[1], 0xdd);
        halves[half] = op(Vec{low, low}, Vec{high, high}).lo;
    }
    return {halves[0], halves[1]};
}
inline Vec keep_lanes(Vec a, int begin, int end) {
    const __m256i first = _mm256_set1_epi32(begin - 1), last = _mm256_set1_epi32(end);
    const auto keep = [&](__m256 part, __m256i lanes) {
        const __m256i inside =
            _mm256_and_si256(_mm256_cmpgt_epi32(lanes, first), _mm256_cmpgt_epi32(last, lanes));
        return _mm256_blendv_ps(_mm256_set1_ps(-__builtin_inff()), part,
                                _mm256_castsi256_ps(inside));
    };
    return {keep(a.lo, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
            keep(a.hi, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15))};
}
inline Vec power_of_two(Vec a) {
    const auto power = [](__m256 part) {
        const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(part), 23);
        return _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(0x3f800000)));
    };
    return {power(a.lo), power(a.hi)};
}
inline Vec zero_below(Vec a, Vec x, float limit) {
    const __m256 bound = _mm256_set1_ps(limit);
    return {_mm256_and_ps(a.lo, _mm256_cmp_ps(x.lo, bound, _CMP_NLT_UQ)),
            _mm256_and_ps(a.hi, _mm256_cmp_ps(x.hi, bound, _CMP_NLT_UQ))};
}
inline __m128i load_8_halves(const std::uint16_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline Vec load_bits(const void* p) {
    const auto* halves = static_cast<const __m256i*>(p);
    return {_mm256_castsi256_ps(_mm256_loadu_si256(halves)),
            _mm256_castsi256_ps(_mm256_loadu_si256(halves + 1))};
}
inline void store_bits(void* p, Vec a) {
    auto* halves = static_cast<__m256i*>(p);
    _mm256_storeu_si256(halves, _mm256_castps_si256(a.lo));
    _mm256_storeu_si256(halves + 1, _mm256_castps_si256(a.hi));
}
inline Vec odd_of_pairs(Vec a) {
    const __m256 high = _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(0xffff0000)));
    return {_mm256_and_ps(a.lo, high), _mm256_and_ps(a.hi, high)};
}
inline Vec even_of_pairs(Vec a) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.lo), 16)),
            _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.hi), 16))};
}
inline Vec round_bf16(Vec a) {
    const __m256i half = _mm256_set1_epi32(0x8000);
    return odd_of_pairs(
        {_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a.lo), half)),
         _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a.hi), half))});
}
inline Vec swap_pairs(Vec a) {
    return {_mm256_permute_ps(a.lo, 0xb1), _mm256_permute_ps(a.hi, 0xb1)};
}
inline void store_first_12(float* p, Vec a) {
    _mm256_storeu_ps(p, a.lo);
    _mm_storeu_ps(p + 8, _mm256_castps256_ps128(a.hi));
}
inline void transpose(Vec* rows) {
    float values[16][16];
    for (int r = 0; r < 16; ++r) store(values[r], rows[r]);
    for (int c = 0; c < 16; ++c) {
        float column[16];
        for (int r = 0; r < 16; ++r) column[r] = values[r][c];
        rows[c] = load(column);
    }
}
inline Vec load_f16(const std::uint16_t* p) {
    return {_mm256_cvtph_ps(load_8_halves(p)), _mm256_cvtph_ps(load_8_halves(p + 8))};
}
/// Rounded to bf16, in the low halves of eight lanes.
inline __m256i narrow_bf16_lanes(__m256 a) {
    const __m256i bits = _mm256_castps_si256(a);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i quiet_nan = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256 kept = _mm256_blendv_ps(_mm256_castsi256_ps(sum), _mm256_castsi256_ps(quiet_nan),
                                         _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    return _mm256_srli_epi32(_mm256_castps_si256(kept), 16);
}
inline void store_bf16(std::uint16_t* p, Vec a) {
    // Packing works within halves of 128 bits; the quarters come out as 0, 2, 1, 3.
    const __m256i packed = _mm256_packus_epi32(narrow_bf16_lanes(a.lo), narrow_bf16_lanes(a.hi));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(packed, 0xd8));
}
inline Vec load_bf16(const std::uint16_t* p) {
    const auto widened = [](const std::uint16_t* halves) {
        return _mm256_castsi256_ps(
            _mm256_slli_epi32(_mm256_cvtepu16_epi32(load_8_halves(halves)), 16));
    };
    return {widened(p), widened(p + 8)};
}
inline void store_f16(std::uint16_t* p, Vec a) {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.lo, kNearest));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.hi, kNearest));
}
inline Vec round_f16(Vec a) {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_cvtph_ps(_mm256_cvtps_ph(a.lo, kNearest)),
            _mm256_cvtph_ps(_mm256_cvtps_ph(a.hi, kNearest))};
}

}  // namespace
