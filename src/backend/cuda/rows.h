#pragma once
// Kernels that treat every row by itself. Strides are in elements.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "muster/backend/backend.h"

namespace muster::cuda {

/// out [rows, hidden] f32 ← rows ids[r] of table [vocab, hidden] of `type`.
void embed(DType type, const void* table, const std::int32_t* ids, std::int64_t rows,
           std::int64_t hidden, float* out, std::int64_t out_stride, cudaStream_t stream);

/// Rotates the halves of every head of x [rows, heads · d] in place; cos_sin [rows, d].
void rope(float* x, std::int64_t x_stride, const float* cos_sin, std::int64_t cos_sin_stride,
          std::int64_t rows, std::int64_t heads, std::int64_t d, cudaStream_t stream);

/// out [rows, n] ← rows ids[r] of x, both of `type`.
void gather_rows(DType type, const void* x, std::int64_t x_stride, const std::int32_t* ids,
                 std::int64_t rows, std::int64_t n, void* out, std::int64_t out_stride,
                 cudaStream_t stream);

/// Where a row's keys and values go.
struct RowPlace {
    std::int32_t page, slot;
};
/// k, v [rows, kv_heads · d] f32 into pages [pages, kv_heads, kKvPageTokens, d] of `type`.
void store_kv(DType type, const float* k, std::int64_t k_stride, const float* v,
              std::int64_t v_stride, const RowPlace* places, std::int64_t rows,
              std::int64_t kv_heads, std::int64_t d, void* keys, void* values, cudaStream_t stream);

/// Copies of one launch: they are arguments of the kernel.
inline constexpr std::size_t kMostPageCopies = 256;
/// Does up to kMostPageCopies copies at once, in a cache whose pages take `page_bytes`, a multiple
/// of 16. No page that is written may be read or written by another copy.
void copy_pages(std::span<const PageCopy> copies, std::int64_t page_bytes, void* cache,
                cudaStream_t stream);

}  // namespace muster::cuda
