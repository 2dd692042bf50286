#pragma once
// Pairs of 16-bit elements in a register.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>

namespace muster::cuda {

/// The same bytes as another type; the toolkit's pairs do not count as trivially copyable.
template <typename To, typename From>
__device__ __forceinline__ To bytes_as(const From& from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof(To));
    return to;
}
__device__ __forceinline__ std::uint32_t pack_pair(float low, float high, __nv_bfloat16) {
    return bytes_as<std::uint32_t>(__floats2bfloat162_rn(low, high));
}
__device__ __forceinline__ std::uint32_t pack_pair(float low, float high, __half) {
    return bytes_as<std::uint32_t>(__floats2half2_rn(low, high));
}
__device__ __forceinline__ float2 unpack_pair(std::uint32_t pair, __nv_bfloat16) {
    return __bfloat1622float2(bytes_as<__nv_bfloat162>(pair));
}
__device__ __forceinline__ float2 unpack_pair(std::uint32_t pair, __half) {
    return __half22float2(bytes_as<__half2>(pair));
}
/// The exponent bits of a pair; all set in an element that is infinite or NaN.
__device__ __forceinline__ std::uint32_t exponents(__nv_bfloat16) {
    return 0x7f807f80u;
}
__device__ __forceinline__ std::uint32_t exponents(__half) {
    return 0x7c007c00u;
}
/// All ones in the halves of `pair` that are finite.
template <typename Element>
__device__ __forceinline__ std::uint32_t finite_mask(std::uint32_t pair) {
    const std::uint32_t all = exponents(Element{}), low = all & 0xffffu, high = all & 0xffff0000u;
    return ((pair & low) != low ? 0xffffu : 0u) | ((pair & high) != high ? 0xffff0000u : 0u);
}

}  // namespace muster::cuda
