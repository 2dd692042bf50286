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
inline __m128i load_8_halves(const std::uint16_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline Vec load_bits(const void* p) {
    const auto* halves = static_cast<const __m256i*>(p);
    return {_mm256_castsi256_ps(_mm256_loadu_si256(halves)),
            _mm256_castsi256_ps(_mm256_loadu_si256(halves + 1))};
}
inline Vec odd_of_pairs(Vec a) {
    const __m256 high = _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(0xffff0000)));
    return {_mm256_and_ps(a.lo, high), _mm256_and_ps(a.hi, high)};
}
inline Vec even_of_pairs(Vec a) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.lo), 16)),
            _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.hi), 16))};
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
inline void store_f16(std::uint16_t* p, Vec a) {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.lo, kNearest));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.hi, kNearest));
}

}  // namespace
