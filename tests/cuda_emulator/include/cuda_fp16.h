#pragma once
// binary16 for the emulated device; conversions round to nearest even as the hardware's do.

#include "cuda_runtime.h"
#include "muster/tensor/dtype.h"

struct __half {
    std::uint16_t bits;
};
struct alignas(4) __half2 {
    __half x, y;
};
inline __half __float2half_rn(float value) {
    return {muster::to_f16(value)};
}
inline __half __float2half(float value) {
    return {muster::to_f16(value)};
}
inline float __half2float(__half value) {
    return muster::from_f16(value.bits);
}
inline __half2 __floats2half2_rn(float x, float y) {
    return {__float2half_rn(x), __float2half_rn(y)};
}
inline float2 __half22float2(__half2 v) {
    return {__half2float(v.x), __half2float(v.y)};
}
