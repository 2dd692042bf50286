#pragma once
// Sixteen floats in one AVX-512 register. See vec_generic.h for the meaning of each function.

#include <immintrin.h>

#include <cstdint>

namespace {

struct Vec {
    __m512 v;
};
inline Vec zero() {
    return {_mm512_setzero_ps()};
}
inline Vec load(const float* p) {
    return {_mm512_loadu_ps(p)};
}
inline void store(float* p, Vec a) {
    _mm512_storeu_ps(p, a.v);
}
inline Vec broadcast(float x) {
    return {_mm512_set1_ps(x)};
}
inline Vec fma(Vec a, Vec b, Vec c) {
    return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
inline Vec operator+(Vec a, Vec b) {
    return {_mm512_add_ps(a.v, b.v)};
}
inline Vec operator-(Vec a, Vec b) {
    return {_mm512_sub_ps(a.v, b.v)};
}
inline Vec operator*(Vec a, Vec b) {
    return {_mm512_mul_ps(a.v, b.v)};
}
inline Vec larger(Vec a, Vec b) {
    return {_mm512_max_ps(a.v, b.v)};
}
inline float sum_of_lanes(Vec a) {
    const __m256 eight =
        _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
template <typename Op>
Vec fold_rows(Vec* rows, Op op) {
    __m512 a[8], b[4], c[2];
    const auto combine = [&](__m512 low, __m512 high) { return op(Vec{low}, Vec{high}).v; };
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
        const __m512 x = rows[2 * i].v, y = rows[2 * i + 1].v;
        a[i] = combine(_mm512_shuffle_f32x4(x, y, 0x44), _mm512_shuffle_f32x4(x, y, 0xee));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        const __m512 x = a[2 * i], y = a[2 * i + 1];
        b[i] = combine(_mm512_shuffle_f32x4(x, y, 0x88), _mm512_shuffle_f32x4(x, y, 0xdd));
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
        const __m512 x = b[2 * i], y = b[2 * i + 1];
        c[i] = combine(_mm512_shuffle_ps(x, y, 0x44), _mm512_shuffle_ps(x, y, 0xee));
    }
    // Quarter q holds rows q, q + 4, q + 8, q + 12.
    const __m512 folded = combine(_mm512_shuffle_ps(c[0], c[1], 0x88),
                                  _mm512_shuffle_ps(c[0], c[1], 0xdd));
    return {_mm512_permutexvar_ps(
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), folded)};
}
inline Vec keep_lanes(Vec a, int begin, int end) {
    const unsigned below_end = end < 16 ? (1u << end) - 1u : 0xffffu, below = (1u << begin) - 1u;
    return {_mm512_mask_mov_ps(_mm512_set1_ps(-__builtin_inff()),
                               static_cast<__mmask16>(below_end & ~below), a.v)};
}
inline Vec power_of_two(Vec a) {
    const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(a.v), 23);
    return {_mm512_castsi512_ps(_mm512_add_epi32(exponent, _mm512_set1_epi32(0x3f800000)))};
}
inline Vec zero_below(Vec a, Vec x, float limit) {
    return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, _mm512_set1_ps(limit), _CMP_NLT_UQ), a.v)};
}
inline Vec load_bits(const void* p) {
    return {_mm512_castsi512_ps(_mm512_loadu_si512(p))};
}
inline void store_bits(void* p, Vec a) {
    _mm512_storeu_si512(p, _mm512_castps_si512(a.v));
}
inline Vec odd_of_pairs(Vec a) {
    return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(a.v),
                                                 _mm512_set1_epi32(static_cast<int>(0xffff0000))))};
}
inline Vec even_of_pairs(Vec a) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a.v), 16))};
}
inline Vec round_bf16(Vec a) {
    const __m512i bits = _mm512_castps_si512(a.v);
    return odd_of_pairs({_mm512_castsi512_ps(_mm512_add_epi32(bits, _mm512_set1_epi32(0x8000)))});
}
inline Vec swap_pairs(Vec a) {
    return {_mm512_permute_ps(a.v, 0xb1)};
}
inline void store_first_12(float* p, Vec a) {
    _mm512_mask_storeu_ps(p, 0x0fff, a.v);
}
inline void transpose(Vec* rows) {
    __m512 a[16], b[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_ps(rows[i].v, rows[i + 1].v);
        a[i + 1] = _mm512_unpackhi_ps(rows[i].v, rows[i + 1].v);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        b[i] = _mm512_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm512_shuffle_ps(a[i], a[i + 2], 0xee);
        b[i + 2] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    // b[4g + j], lane quarter q: element 4q + j of rows 4g … 4g + 3.
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
        const __m512 low = _mm512_shuffle_f32x4(b[j], b[4 + j], 0x88),
                     low_odd = _mm512_shuffle_f32x4(b[j], b[4 + j], 0xdd),
                     high = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0x88),
                     high_odd = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0xdd);
        rows[j].v = _mm512_shuffle_f32x4(low, high, 0x88);
        rows[8 + j].v = _mm512_shuffle_f32x4(low, high, 0xdd);
        rows[4 + j].v = _mm512_shuffle_f32x4(low_odd, high_odd, 0x88);
        rows[12 + j].v = _mm512_shuffle_f32x4(low_odd, high_odd, 0xdd);
    }
}
inline Vec load_f16(const std::uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline void store_bf16(std::uint16_t* p, Vec a) {
    const __m512i bits = _mm512_castps_si512(a.v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i sum = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __m512i quiet_nan = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    sum = _mm512_mask_mov_epi32(sum, _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q), quiet_nan);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(sum, 16)));
}
inline Vec load_bf16(const std::uint16_t* p) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
}
inline void store_f16(std::uint16_t* p, Vec a) {
    __m256i half = _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), half);
}
inline Vec round_f16(Vec a) {
    return {_mm512_cvtph_ps(_mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC))};
}

}  // namespace
