#pragma once
// vec_avx512.h with the dot product of pairs of bf16.

#include "cpu/vec_avx512.h"

#define MUSTER_DOT_BF16

namespace {

inline Vec broadcast_pair(std::uint32_t pair) {
    return {_mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(pair)))};
}
/// sum + x · w in pairs: fma(even, even, fma(odd, odd, sum)), denormals flushed.
inline Vec dot_pairs(Vec sum, Vec x, Vec w) {
    return {_mm512_dpbf16_ps(sum.v, (__m512bh)x.v, (__m512bh)w.v)};
}
/// The upper halves of the lanes, sixteen bf16.
inline void store_high_halves(void* p, Vec a) {
    _mm256_storeu_si256(static_cast<__m256i*>(p),
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(a.v), 16)));
}

}  // namespace
