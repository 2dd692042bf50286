#pragma once
// Products of few rows, whose time is that of the weights' way from memory. Each sum takes k in
// ascending order, 16 at a time; a row's bits do not depend on how many there are.

#include <cuda_runtime.h>

#include "cuda/multiplier.h"

namespace muster::cuda {

/// Most rows of a call.
inline constexpr std::int64_t kMostFewRows = 64;

/// Weights per tile: with few outputs, narrow tiles keep more multiprocessors busy; wide ones read
/// x less often.
enum class FewRowsTiles { narrow, wide };

/// Whether there is a kernel: 16-bit elements, f32 results, rows that begin and end at multiples of
/// 16 bytes.
bool few_rows_supports(const Product& product);
/// Enqueues a supported product of at most kMostFewRows rows.
void multiply_few_rows(const Product& product, FewRowsTiles tiles, cudaStream_t stream);

}  // namespace muster::cuda
