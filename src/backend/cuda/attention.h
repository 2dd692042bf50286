#pragma once
// Paged causal attention on the device.
//
// Pages: keys and values [pages, kv_heads, kKvPageTokens, head_dim] in the compute type, so that
// the tokens of one head in one page are one contiguous tile.
//
// Order of additions, whatever else is in the step: the keys of a row are taken by pages in
// ascending order with one running maximum per run of kSplitPages pages, runs aligned to position
// 0; runs are merged in ascending order. Prefill and decode of the same row do the same arithmetic.

#include <cuda_runtime.h>

#include <cstdint>

#include "muster/tensor/dtype.h"

namespace muster::cuda {

/// Pages of one run: 1,024 positions.
inline constexpr int kSplitPages = 16;

/// AttentionSequence in device memory.
struct DeviceSequence {
    std::int32_t first_row, num_rows, first_position;
    std::int32_t first_page;  ///< where its page ids begin in `pages`
};

struct AttentionCall {
    DType dtype;                      ///< of keys, values and out: f32, f16, bf16
    const float* q;                   ///< [rows, heads · head_dim], rows q_stride apart
    std::int64_t q_stride;            ///< elements
    const void *keys, *values;        ///< all pages of one layer
    void* out;                        ///< [rows, heads · head_dim] compute type
    const DeviceSequence* sequences;  ///< [num_sequences], device, first_row ascending
    const std::int32_t* pages;        ///< page ids of all sequences, device
    std::int32_t num_sequences;
    std::int32_t rows;         ///< of all sequences
    std::int32_t max_rows;     ///< of one sequence: at least the largest num_rows
    std::int32_t max_context;  ///< of one sequence: at least the largest position + 1
    std::int32_t heads, kv_heads, head_dim;
    float scale;          ///< above 0
    std::int32_t window;  ///< 0: none
    void* scratch;        ///< attention_scratch_bytes
    /// Scores become soft_cap · tanh(score / soft_cap); 0: they do not.
    float soft_cap = 0;
    /// Rows see the keys after them, too, to the sequence's end.
    bool bidirectional = false;
};

/// Bytes of scratch that a call with at most these sizes takes; 0 where no row is split.
std::uint64_t attention_scratch_bytes(std::int64_t rows, std::int64_t heads, std::int64_t head_dim,
                                      std::int64_t max_context);

/// Whether there are kernels for this head size: one of kCudaHeadDims.
bool attention_supports(std::int64_t head_dim);

/// Enqueues the kernels on `stream`. The launch depends on the sizes in `call` alone, not on what
/// device memory holds, so that a recorded step can be replayed with other sequences.
void attention(const AttentionCall& call, cudaStream_t stream);

}  // namespace muster::cuda
