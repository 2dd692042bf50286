#pragma once
// What is done with the results of products. Strides are in elements.

#include <cuda_runtime.h>

#include <cstdint>

#include "muster/tensor/dtype.h"

namespace muster::cuda {

/// y [rows, n] += bias [n].
void add_bias(float* y, std::int64_t y_stride, const float* bias, std::int64_t rows, std::int64_t n,
              cudaStream_t stream);

/// out [rows, f] of `type` ← silu(g) · u, where product [rows, 2f] + bias [2f] is [g | u]; bias may
/// be null.
void silu_mul(DType type, const float* product, const float* bias, std::int64_t rows,
              std::int64_t f, void* out, std::int64_t out_stride, cudaStream_t stream);

/// Partial sums to be added up by the balanced binary tree over their index.
struct Fold {
    const float* parts = nullptr;  ///< part p at parts + p · part_stride
    std::int64_t part_stride = 0;
    int count = 1;  ///< 1, 2, 4 or 8
};
/// Elements [begin, begin + size) of a [rows, n] tensor in row-major order: out ← tree, or, if
/// `add`, out + (tree + bias [n]). `fold` holds `size` elements per part; out has rows `out_stride`
/// apart; bias may be null and is only for `add`.
void fold(const Fold& fold, std::int64_t begin, std::int64_t size, std::int64_t n,
          const float* bias, bool add, float* out, std::int64_t out_stride, cudaStream_t stream);

/// *differs ← 1 if a and b [words] differ in a bit; else it stays.
void mark_difference(const std::uint32_t* a, const std::uint32_t* b, std::int64_t words,
                     std::int32_t* differs, cudaStream_t stream);

}  // namespace muster::cuda
