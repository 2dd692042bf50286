#pragma once
// Tokens drawn from slabs of logits.

#include <cuda_runtime.h>

#include <cstdint>

#include "muster/backend/backend.h"

namespace muster::cuda {

/// logits [rows, stride] of columns [0, columns ≤ kDrawBlock), whose first has the global id
/// `first_id`: what Backend::draw_logits gives of this block for each of draws [count], rows
/// counted from the first, into out[i · out_stride]. Every draw for itself.
void draw_slab(const float* logits, std::int64_t stride, std::int64_t columns,
               std::int32_t first_id, const LogitDraw* draws, std::int64_t count, BlockDraw* out,
               std::int64_t out_stride, cudaStream_t stream);

}  // namespace muster::cuda
