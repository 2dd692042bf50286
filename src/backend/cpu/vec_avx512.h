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
inline Vec load_bf16(const std::uint16_t* p) {
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
inline Vec load_f16(const std::uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline void store_f16(std::uint16_t* p, Vec a) {
    __m256i half = _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), half);
}

}  // namespace
