#pragma once
// Log-softmax statistics of slabs of logits.

#include <cuda_runtime.h>

#include <cstdint>

#include "muster/backend/backend.h"

namespace muster::cuda {

/// logits [rows, stride] of columns [0, columns), whose first has the global id `first_id`: their
/// statistics are appended to stats [rows], or, if `fresh`, replace them. Slabs come in ascending
/// order; an earlier maximum wins ties. No columns: stats of nothing (max −infinity).
void append_stats(const float* logits, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                  std::int32_t first_id, bool fresh, VocabStats* stats, cudaStream_t stream);

/// out[i] ← the logit of targets[i] for those whose id lies in the slab; others are left alone.
void pick_targets(const float* logits, std::int64_t stride, std::int64_t columns,
                  std::int32_t first_id, const LogitTarget* targets, std::int64_t num_targets,
                  float* out, cudaStream_t stream);

}  // namespace muster::cuda
