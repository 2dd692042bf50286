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

}  // namespace
