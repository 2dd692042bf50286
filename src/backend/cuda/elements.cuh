#pragma once
// The float types in kernels: conversions, and four elements at a time.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "muster/tensor/dtype.h"

namespace muster::cuda {

__device__ __forceinline__ float to_f32(float x) {
    return x;
}
__device__ __forceinline__ float to_f32(__half x) {
    return __half2float(x);
}
__device__ __forceinline__ float to_f32(__nv_bfloat16 x) {
    return __bfloat162float(x);
}

/// Rounds to nearest even.
template <typename T>
__device__ __forceinline__ T from_f32(float x);
template <>
__device__ __forceinline__ float from_f32<float>(float x) {
    return x;
}
template <>
__device__ __forceinline__ __half from_f32<__half>(float x) {
    return __float2half_rn(x);
}
template <>
__device__ __forceinline__ __nv_bfloat16 from_f32<__nv_bfloat16>(float x) {
    return __float2bfloat16_rn(x);
}

/// x rounded to T and back.
template <typename T>
__device__ __forceinline__ float rounded(float x) {
    return to_f32(from_f32<T>(x));
}

__device__ __forceinline__ float silu(float x) {
    return __fdiv_rn(x, 1.0f + expf(-x));
}

/// Four neighbours, moved by one instruction.
template <typename T>
struct alignas(4 * sizeof(T)) Four {
    T v[4];
};

/// Elements [at, at + 4) of `row` [n] as f32, zeros from n on. `whole`: n and the row's address are
/// multiples of four elements.
template <typename T>
__device__ __forceinline__ void load4(const T* row, std::int64_t at, std::int64_t n, bool whole,
                                      float (&out)[4]) {
    if (whole) {
        const Four<T> four = *reinterpret_cast<const Four<T>*>(row + at);
        for (int i = 0; i < 4; ++i) out[i] = to_f32(four.v[i]);
        return;
    }
    for (int i = 0; i < 4; ++i) out[i] = at + i < n ? to_f32(row[at + i]) : 0.0f;
}
/// The inverse; nothing is written from n on.
template <typename T>
__device__ __forceinline__ void store4(T* row, std::int64_t at, std::int64_t n, bool whole,
                                       const float (&in)[4]) {
    if (whole) {
        Four<T> four;
        for (int i = 0; i < 4; ++i) four.v[i] = from_f32<T>(in[i]);
        *reinterpret_cast<Four<T>*>(row + at) = four;
        return;
    }
    for (int i = 0; i < 4; ++i)
        if (at + i < n) row[at + i] = from_f32<T>(in[i]);
}

/// Whether rows of `row_size` elements, `stride` apart from `data` on, can be moved by fours.
inline bool by_fours(const void* data, std::int64_t row_size, std::int64_t stride,
                     std::size_t element_bytes) {
    return reinterpret_cast<std::uintptr_t>(data) % (4 * element_bytes) == 0 && row_size % 4 == 0 &&
           stride % 4 == 0;
}

/// Threads of a block that treats a row of n elements by fours: depends on n alone, so the order of
/// a row's additions does, too.
inline unsigned threads_for_row(std::int64_t n) {
    const std::int64_t fours = (n + 3) / 4;
    return fours <= 32 ? 32 : fours >= 256 ? 256 : static_cast<unsigned>((fours + 31) / 32 * 32);
}

/// Calls `call` with a null pointer of the element type that `dtype` names.
template <typename Call>
void with_element(DType dtype, const Call& call) {
    if (dtype == DType::f32)
        call(static_cast<float*>(nullptr));
    else if (dtype == DType::f16)
        call(static_cast<__half*>(nullptr));
    else
        call(static_cast<__nv_bfloat16*>(nullptr));
}

}  // namespace muster::cuda
