#pragma once
// How a call of attention is cut into blocks. Only speed depends on it, never a bit of a result.

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/attention.h"

namespace muster::cuda {

inline constexpr int kPageKeys = 64;
/// Elements of a partial result after its `head_dim` values: maximum, sum, and two for alignment.
inline constexpr int kPartialTail = 4;

/// A call and how it is cut up; the argument of every kernel.
struct AttentionLaunch {
    AttentionCall call;
    std::int32_t group;           ///< query heads of a kv head
    std::uint32_t inverse_group;  ///< ⌈2^32 / group⌉, 0 for 1
    std::int32_t tiles;           ///< blocks along x
    std::int32_t runs;            ///< of the longest sequence
    bool one_tile;                ///< no sequence has more than one tile
    bool split;                   ///< every block takes one run and leaves a partial result
    float tanh_scale;             ///< scale / soft_cap; 0 without a cap
    float exponent_scale;         ///< of scores (of their tanh) for base 2
};

/// Checks the call and chooses how to cut it; `tiles` and `one_tile` are left to the kernel.
AttentionLaunch plan_attention(const AttentionCall& call);
/// Enqueues the kernels. `split` may have been taken back: bits stay the same.
void run_attention(AttentionLaunch& launch, cudaStream_t stream);

}  // namespace muster::cuda
