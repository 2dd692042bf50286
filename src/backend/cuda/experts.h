#pragma once
// What a mixture of experts does around its products: who takes which row, and the sum of what they
// make of it. All of it stays on the device, in an order that depends on no race.

#include <cuda_runtime.h>

#include <cstdint>

#include "muster/backend/backend.h"

namespace muster::cuda {

/// Who takes the rows of a call. In device memory.
struct Routes {
    std::int32_t* experts = nullptr;  ///< [rows, top_k], ascending in a row
    float* weights = nullptr;         ///< [rows, top_k]
    std::int32_t* offsets = nullptr;  ///< [experts + 1]: where an expert's positions begin
    std::int32_t* rows_of = nullptr;  ///< [positions]: rows by (expert, row)
    std::int32_t* places = nullptr;   ///< [rows, top_k]: the position of a row with an expert
};

/// routes ← softmax of `logits` [rows, experts] and the top_k of each row. At most kMaxExperts.
void route(const float* logits, std::int64_t stride, std::int64_t rows, int experts,
           const ExpertRouting& routing, const Routes& routes, cudaStream_t stream);

/// Rows [begin, begin + rows) of the call: out [shards, rows, n] ← Σ over a row's experts,
/// ascending, of weight · parts, by fused multiply-add; parts [shards, positions, n]. If `add`, one
/// shard's sum is added to what there is.
struct ExpertSums {
    const float* parts = nullptr;
    std::int64_t part_shard = 0;  ///< elements from shard to shard
    int shards = 1, top_k = 1;
    std::int64_t begin = 0, rows = 0, n = 0;
    bool add = false;
    float* out = nullptr;
    std::int64_t out_stride = 0, out_shard = 0;
};
void add_experts(const ExpertSums& sums, const Routes& routes, cudaStream_t stream);

}  // namespace muster::cuda
