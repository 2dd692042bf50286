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
inline __m256 widen_bf16(__m128i halves) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}
inline Vec load_bf16(const std::uint16_t* p) {
    return {widen_bf16(load_8_halves(p)), widen_bf16(load_8_halves(p + 8))};
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
