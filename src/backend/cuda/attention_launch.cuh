#pragma once
// Starting attention kernels.

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "cuda/attention_merge.cuh"
#include "cuda/attention_tile.cuh"
#include "cuda/check.h"
#include "cuda/launch.cuh"
#include "muster/base/error.h"

namespace muster::cuda {

/// The kernels of one element type each; throw InternalError for a head size without a kernel.
void attention_f32(AttentionLaunch& launch, cudaStream_t stream);
void attention_f16(AttentionLaunch& launch, cudaStream_t stream);
void attention_bf16(AttentionLaunch& launch, cudaStream_t stream);

/// Enqueues `kernel`, whose tiles are Shape's.
template <typename Shape>
void launch_tiles(void (*kernel)(AttentionLaunch), AttentionLaunch& launch, const char* name,
                  cudaStream_t stream) {
    static_assert(1024 + Shape::kSharedBytes <= kSharedLimit);  // some is static
    static const bool once = (opt_in(kernel, Shape::kSharedBytes, name), true);
    (void)once;
    const AttentionCall& call = launch.call;
    const std::int64_t per_sequence = std::int64_t{call.max_rows} * launch.group;
    launch.one_tile = per_sequence <= Shape::kRows;
    launch.tiles = call.num_sequences;
    if (!launch.one_tile)
        launch.tiles +=
            static_cast<std::int32_t>(std::int64_t{call.rows} * launch.group / Shape::kRows);
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(launch.tiles), static_cast<unsigned>(call.kv_heads),
                          static_cast<unsigned>(launch.split ? launch.runs : 1));
    config.blockDim = dim3(Shape::kThreads);
    config.dynamicSmemBytes = Shape::kSharedBytes;
    config.stream = stream;
    check(cudaLaunchKernelEx(&config, kernel, launch), name);
}

/// Enqueues `kernel` for the partial results of a split call.
inline void launch_merge(void (*kernel)(AttentionLaunch), const AttentionLaunch& launch,
                         cudaStream_t stream) {
    if (!launch.split) return;
    const AttentionCall& call = launch.call;
    const std::int64_t heads = std::int64_t{call.max_rows} * call.heads;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>((heads + kMergeWarps - 1) / kMergeWarps),
                          static_cast<unsigned>(call.num_sequences));
    config.blockDim = dim3(32 * kMergeWarps);
    config.stream = stream;
    check(cudaLaunchKernelEx(&config, kernel, launch), "attention_merge");
}

}  // namespace muster::cuda
