#include "cuda/ceilings.h"
#include "cuda/elements.cuh"
#include "cuda/launch.cuh"
#include "muster/base/error.h"

namespace muster::cuda {

namespace {

/// A number in [0, 2^32) that looks random (PCG's output function; O'Neill 2014, pcg-random.org).
__device__ __forceinline__ std::uint32_t scramble(std::uint32_t x) {
    x = x * 747796405u + 2891336453u;
    x = ((x >> ((x >> 28) + 4)) ^ x) * 277803737u;
    return (x >> 22) ^ x;
}

/// A sum of four uniform bytes has the shape of a normal distribution, well enough.
template <typename T>
__global__ void fill_kernel(T* to, std::int64_t count) {
    const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
    for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
         i < count; i += stride) {
        const std::uint32_t bits = scramble(static_cast<std::uint32_t>(i));
        const std::uint32_t sum =
            (bits & 255u) + (bits >> 8 & 255u) + (bits >> 16 & 255u) + (bits >> 24);
        to[i] = from_f32<T>((static_cast<float>(sum) - 510.0f) / 147.8f);
    }
}

/// Four loads under way per thread. The sums are written so that the loads have a purpose.
__global__ void read_kernel(const uint4* from, std::int64_t count, std::uint32_t* sums) {
    const std::int64_t threads = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
    const std::int64_t thread = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    std::uint32_t sum = 0;
    std::int64_t i = thread;
    for (; i + 3 * threads < count; i += 4 * threads) {
        const uint4 a = from[i], b = from[i + threads], c = from[i + 2 * threads],
                    d = from[i + 3 * threads];
        sum += (a.x ^ a.y ^ a.z ^ a.w) + (b.x ^ b.y ^ b.z ^ b.w) + (c.x ^ c.y ^ c.z ^ c.w) +
               (d.x ^ d.y ^ d.z ^ d.w);
    }
    for (; i < count; i += threads) {
        const uint4 a = from[i];
        sum += a.x ^ a.y ^ a.z ^ a.w;
    }
    sums[thread] = sum;
}

}  // namespace

unsigned busy_blocks() {
    int device = 0, processors = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device),
          "cudaDeviceGetAttribute");
    return 8 * static_cast<unsigned>(processors);
}

void fill_random(DType type, void* words, std::int64_t count, cudaStream_t stream) {
    const auto fill = [&]<typename T>(T* to) {
        launch("fill_random", fill_kernel<T>, dim3(busy_blocks()), kBusyThreads, 0, stream, to,
               count);
    };
    switch (type) {
        case DType::f32:
            return fill(static_cast<float*>(words));
        case DType::f16:
            return fill(static_cast<__half*>(words));
        case DType::bf16:
            return fill(static_cast<__nv_bfloat16*>(words));
        default:
            throw InternalError("fill_random: not a type of numbers to multiply");
    }
}

void read_all(const void* from, std::uint64_t bytes, std::uint32_t* sums, cudaStream_t stream) {
    launch("read_all", read_kernel, dim3(busy_blocks()), kBusyThreads, 0, stream,
           static_cast<const uint4*>(from), static_cast<std::int64_t>(bytes / sizeof(uint4)), sums);
}

}  // namespace muster::cuda
