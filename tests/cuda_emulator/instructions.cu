#include "instructions.h"

#include "cuda/attention_pairs.cuh"
#include "cuda/ptx.cuh"

namespace muster::test {

namespace {

template <typename Element>
__global__ void mma_kernel(const std::uint32_t* a, const std::uint32_t* b, float* d) {
    const unsigned lane = threadIdx.x;
    std::uint32_t left[4], right[2];
    float sums[4];
    for (unsigned i = 0; i < 4; ++i) left[i] = a[lane * 4 + i];
    for (unsigned i = 0; i < 2; ++i) right[i] = b[lane * 2 + i];
    for (unsigned i = 0; i < 4; ++i) sums[i] = d[lane * 4 + i];
    cuda::mma_m16n8k16<Element>(sums, left, right);
    for (unsigned i = 0; i < 4; ++i) d[lane * 4 + i] = sums[i];
}

__global__ void ldmatrix_kernel(bool transposed, const std::uint16_t* elements, std::int32_t n,
                                const std::int32_t* starts, std::uint32_t* r) {
    auto* const shared = cuda::dynamic_shared<std::uint16_t>();
    for (int i = static_cast<int>(threadIdx.x); i < n; i += 32) shared[i] = elements[i];
    __syncthreads();
    std::uint32_t registers[4];
    if (transposed)
        cuda::ldmatrix_x4_transposed(registers, shared + starts[threadIdx.x]);
    else
        cuda::ldmatrix_x4(registers, shared + starts[threadIdx.x]);
    for (unsigned i = 0; i < 4; ++i) r[threadIdx.x * 4 + i] = registers[i];
}

__global__ void copies_kernel(const void* const* from, const std::int32_t* reads,
                              unsigned char* to) {
    auto* const shared = cuda::dynamic_shared<unsigned char>();
    const auto at = [](unsigned i) { return i * 32 + threadIdx.x; };
    const auto write = [&](unsigned i) {
        for (unsigned byte = 0; byte < 16; ++byte)
            to[at(i) * 16 + byte] = shared[at(i) * 16 + byte];
    };
    for (unsigned i = 0; i < 3; ++i) {
        cuda::copy_async_16(shared + at(i) * 16, from[at(i)], reads[at(i)]);
        cuda::copy_async_commit();
    }
    cuda::copy_async_wait<1>();
    write(0);
    write(1);
    cuda::copy_async_wait<0>();
    write(2);
}

__global__ void exp2_kernel(const float* x, float* y) {
    y[threadIdx.x] = cuda::exp2_approx(x[threadIdx.x]);
}

template <typename Element>
__global__ void pack_pair_kernel(const float* x, std::uint32_t* pairs) {
    pairs[threadIdx.x] = cuda::pack_pair(x[threadIdx.x], x[32 + threadIdx.x], Element{});
}

cudaLaunchConfig_t one_warp(std::size_t shared_bytes = 0) {
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(1);
    config.blockDim = dim3(32);
    config.dynamicSmemBytes = shared_bytes;
    return config;
}

}  // namespace

void run_mma(DType type, const std::uint32_t* a, const std::uint32_t* b, float* d) {
    const cudaLaunchConfig_t config = one_warp();
    (void)cudaLaunchKernelEx(
        &config, type == DType::f16 ? mma_kernel<__half> : mma_kernel<__nv_bfloat16>, a, b, d);
}

void run_ldmatrix(bool transposed, const std::uint16_t* elements, std::int32_t n,
                  const std::int32_t* starts, std::uint32_t* r) {
    const cudaLaunchConfig_t config = one_warp(static_cast<std::size_t>(n) * 2);
    (void)cudaLaunchKernelEx(&config, ldmatrix_kernel, transposed, elements, n, starts, r);
}

void run_copies(const void* const* from, const std::int32_t* reads, unsigned char* to) {
    const cudaLaunchConfig_t config = one_warp(3 * 32 * 16);
    (void)cudaLaunchKernelEx(&config, copies_kernel, from, reads, to);
}

void run_exp2(const float* x, float* y) {
    const cudaLaunchConfig_t config = one_warp();
    (void)cudaLaunchKernelEx(&config, exp2_kernel, x, y);
}

void run_pack_pair(DType type, const float* x, std::uint32_t* pairs) {
    const cudaLaunchConfig_t config = one_warp();
    (void)cudaLaunchKernelEx(
        &config, type == DType::f16 ? pack_pair_kernel<__half> : pack_pair_kernel<__nv_bfloat16>, x,
        pairs);
}

}  // namespace muster::test
