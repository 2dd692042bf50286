#pragma once
// bfloat16 for the emulated device; conversions round to nearest even as the hardware's do.

#include "cuda_runtime.h"
#include "muster/tensor/dtype.h"

struct __nv_bfloat16 {
    std::uint16_t bits;
};
struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
inline __nv_bfloat16 __float2bfloat16_rn(float value) {
    return {muster::to_bf16(value)};
}
inline __nv_bfloat16 __float2bfloat16(float value) {
    return {muster::to_bf16(value)};
}
inline float __bfloat162float(__nv_bfloat16 value) {
    return muster::from_bf16(value.bits);
}
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
    return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)};
}
inline float2 __bfloat1622float2(__nv_bfloat162 v) {
    return {__bfloat162float(v.x), __bfloat162float(v.y)};
}
