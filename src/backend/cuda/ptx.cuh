#pragma once
// The machine instructions that kernels use and CUDA C++ has no word for. All threads of a warp
// call the matrix instructions together. Where this is not compiled by nvcc, tests bring an
// emulated device with instructions of its own.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#ifndef __CUDACC__
#include <emulated_ptx.h>
#endif

namespace muster::cuda {

/// The block's dynamic shared memory.
template <typename T>
__device__ __forceinline__ T* dynamic_shared() {
#ifdef __CUDACC__
    extern __shared__ __align__(128) unsigned char shared_bytes[];
    return reinterpret_cast<T*>(shared_bytes);
#else
    return reinterpret_cast<T*>(emulator::dynamic_shared());
#endif
}

/// d [16, 8] f32 += a [16, 16] · b [16, 8]; fragments as in the PTX ISA, mma.m16n8k16.
template <typename Element>
__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4],
                                             const std::uint32_t (&b)[2]);

template <>
__device__ __forceinline__ void mma_m16n8k16<__nv_bfloat16>(float (&d)[4],
                                                            const std::uint32_t (&a)[4],
                                                            const std::uint32_t (&b)[2]) {
#ifdef __CUDACC__
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};\n"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    emulator::mma_m16n8k16<from_bf16>(d, a, b);
#endif
}

template <>
__device__ __forceinline__ void mma_m16n8k16<__half>(float (&d)[4], const std::uint32_t (&a)[4],
                                                     const std::uint32_t (&b)[2]) {
#ifdef __CUDACC__
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};\n"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    emulator::mma_m16n8k16<from_f16>(d, a, b);
#endif
}

/// Four 8×8 matrices of 16-bit elements out of shared memory; lane l points to row l mod 8 of
/// matrix l / 8, 16-byte aligned.
__device__ __forceinline__ void ldmatrix_x4(std::uint32_t (&r)[4], const void* row) {
#ifdef __CUDACC__
    const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
#else
    emulator::ldmatrix_x4(r, row, false);
#endif
}
/// The same, each matrix transposed.
__device__ __forceinline__ void ldmatrix_x4_transposed(std::uint32_t (&r)[4], const void* row) {
#ifdef __CUDACC__
    const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
#else
    emulator::ldmatrix_x4(r, row, true);
#endif
}

/// Starts a copy of 16 bytes from global to shared memory, both 16-byte aligned; of these only the
/// first `read` (0 to 16) are read and the others become zero.
__device__ __forceinline__ void copy_async_16(void* shared, const void* global, int read = 16) {
#ifdef __CUDACC__
    const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(address), "l"(global),
                 "r"(read)
                 : "memory");
#else
    emulator::copy_async_16(shared, global, read);
#endif
}
/// Ends a group of started copies.
__device__ __forceinline__ void copy_async_commit() {
#ifdef __CUDACC__
    asm volatile("cp.async.commit_group;\n" ::: "memory");
#else
    emulator::copy_async_commit();
#endif
}
/// Waits until at most `kPending` of this thread's groups are under way.
template <int kPending>
__device__ __forceinline__ void copy_async_wait() {
#ifdef __CUDACC__
    asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending) : "memory");
#else
    emulator::copy_async_wait(kPending);
#endif
}

/// 2^x to about 2 units of the last place; 1 for 0, 0 for results below 2^-126.
__device__ __forceinline__ float exp2_approx(float x) {
#ifdef __CUDACC__
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
    return y;
#else
    return emulator::exp2_approx(x);
#endif
}

}  // namespace muster::cuda
