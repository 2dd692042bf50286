#pragma once
// Products whose tiles blocks hand out to themselves on the device, since how many rows an expert
// has is known there alone. Strides are in elements.

#include <cstdint>

#include "muster/tensor/dtype.h"

namespace muster::cuda {

/// Most experts of one product: their weights' addresses are arguments of the kernel, so that a
/// recorded launch keeps them.
inline constexpr int kMaxExperts = 256;

template <int kCount>
struct ExpertWeights {
    const void* at[kCount];
};

/// Positions are rows of x in the order of their experts: expert e has positions [offsets[e],
/// offsets[e + 1]). Shard s of a product takes the k elements of x and of the weights from s · k
/// on.
struct TileProduct {
    DType type = DType::bf16;  ///< of x and the weights
    /// The result is silu(gate) · up [positions, n] of `type`, of weights [2n, k] that hold gate
    /// rows, then up rows; else sums [shards, positions, n] f32.
    bool gated = false;
    bool accumulate = false;                ///< sums are added to what there is
    int experts = 1, shards = 1;            ///< one shard if gated
    const std::int32_t* offsets = nullptr;  ///< [experts + 1]; null: one expert has all
    const std::int32_t* rows_of = nullptr;  ///< [positions]: the row of x; null: the position
    std::int64_t positions = 0, n = 0, k = 0;
    const void* x = nullptr;  ///< rows x_stride apart
    std::int64_t x_stride = 0, w_stride = 0;
    void* out = nullptr;  ///< positions out_stride apart, shards out_shard
    std::int64_t out_stride = 0, out_shard = 0;
};

/// Multiprocessors of the current device, asked for once.
int processors();

}  // namespace muster::cuda
