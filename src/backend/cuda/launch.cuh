#pragma once
// Starting kernels.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "cuda/check.h"

namespace muster::cuda {

/// Shared memory of a block on any architecture: sm_80's, static and dynamic together.
inline constexpr int kSharedLimit = 163 << 10;

/// Enqueues `kernel`; `name` stands in the message if that fails.
template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, unsigned threads,
            std::size_t shared_bytes, cudaStream_t stream, Arguments&&... arguments) {
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    check(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), name);
}

/// Lets a kernel have more shared memory than the 48 KiB that every launch may take.
template <typename Kernel>
void opt_in(Kernel* kernel, int shared_bytes, const char* name) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes),
          name);
}

/// Blocks of `per_block` that hold `n`.
inline unsigned blocks_for(std::int64_t n, std::int64_t per_block) {
    return static_cast<unsigned>((n + per_block - 1) / per_block);
}

}  // namespace muster::cuda
