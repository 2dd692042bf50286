#pragma once
// The best logits of rows, slab by slab.

#include <cuda_runtime.h>

#include <cstdint>

#include "muster/backend/backend.h"

namespace muster::cuda {

/// Columns of a slab that append_best takes at most.
inline constexpr std::int64_t kBestColumns = 16384;

/// Σ exp((logit − max) · inverse temperature) of a row over some columns.
struct ScaledSum {
    double sum = 0;
    float max = 0;  ///< −infinity if there are no columns
};

/// logits [rows, stride] of columns [0, columns), whose first has the global id `first_id`: their
/// best are merged into best [rows, count ≤ kMaxTopLogits], sorted as in Backend::top_logits, and
/// their sums are appended to sums [rows]. Fresh ones are written without being read. Slabs come in
/// ascending order. Every row for itself: nothing depends on the rows beside it.
void append_best(const float* logits, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                 std::int32_t first_id, bool fresh_best, bool fresh_sums, int count,
                 const float* inverse_temperatures, TopLogit* best, ScaledSum* sums,
                 cudaStream_t stream);

}  // namespace muster::cuda
