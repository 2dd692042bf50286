#pragma once
// The inner loops of the CPU backend, compiled once per instruction set from the *_body.h files.
// All sets give the same bits: every loop fixes the order of its operations, uses fused
// multiply-add explicitly, and calls no mathematical function of the C library but sqrt.
//
// Dot products over k, by type:
//   f32, f16 (widened)  acc = fma(x[k], w[k], acc), k ascending
//   bf16                in pairs: acc = fma(x[2i], w[2i], fma(x[2i+1], w[2i+1], acc)), i ascending,
//   a
//                       last odd element paired with zeros, denormals flushed (FlushDenormals).
//                       This is what VDPBF16PS computes.

#include <cstdint>
#include <vector>

#include "muster/tensor/dtype.h"

namespace muster::cpu {

/// avx512_bf16 is avx512 with bf16 products by VDPBF16PS, which not every processor that has it
/// runs faster than widening and two multiply-adds; avx512_mixed does so for few rows only, where
/// reading the weights takes longer than multiplying.
enum class Isa { generic, avx2, avx512, avx512_mixed, avx512_bf16 };

/// Rows and columns of one tile of a matrix product.
inline constexpr int kTileRows = 12;
inline constexpr int kPanel = 32;

/// Log-softmax statistics of a run of logits.
struct RunStats {
    float max = 0;  ///< −infinity if the run is empty
    float sum = 0;  ///< Σ exp(logit − max)
    std::int64_t argmax = 0;
};

/// Memory that a tile fetches into the cache while it computes: `per_step` bytes (at most 128) per
/// step. It need not exist.
struct Ahead {
    const char* next = nullptr;
    std::int64_t per_step = 0;
    std::int64_t per_panel = 0;  ///< from what one panel fetches to what the next one does
};

/// c [kTileRows, kPanel] ← (add ? c : 0) + x · w over `steps` steps. A step is one k, or a pair of
/// them in bf16. x is a block of pack_x; w [steps, kPanel] f32 or f16, or [steps, kPanel, 2] bf16,
/// `w_stride` columns from one step to the next. Only the first `rows` rows are computed. bf16
/// needs FlushDenormals.
using TileKernel = void (*)(int rows, std::int64_t steps, const void* x, const void* w,
                            std::int64_t w_stride, float* c, bool add, Ahead ahead);
/// The same for panels w[0 … count) to tiles that lie one after another; w_stride is kPanel.
using PanelKernel = void (*)(int rows, int count, std::int64_t steps, const void* x,
                             const void* const* w, float* c, bool add, Ahead ahead);
struct PanelKernels {
    PanelKernel f32, f16, bf16;
};

/// The running softmax of the vectors of one attention tile. Exponents are to base 2.
struct SoftmaxState {
    alignas(64) float max[16];     ///< largest exponent so far; −infinity before the first key
    alignas(64) float sum[16];     ///< Σ 2^(exponent − max)
    alignas(64) float factor[16];  ///< what the latest block multiplies earlier sums by
};
/// The keys [begin, end) of one page that a vector sees; both ascend over the vectors of a tile.
struct KeyRange {
    int begin, end;
};

struct Kernels {
    const char* name;
    TileKernel tile_f32, tile_f16, tile_bf16;
    /// For few rows, whose weights come from memory; what they fetch is for the same call.
    PanelKernels stream;
    /// Bytes of one step of a packed block of bf16; 48 in the other types.
    std::int64_t bf16_step_bytes;
    /// block [steps, kTileRows] ← `rows` rows [k] of `type` that lie `stride` elements apart; other
    /// rows of the block become zeros.
    void (*pack_x)(DType type, int rows, std::int64_t k, const void* x, std::int64_t stride,
                   void* block);
    /// out [k, kPanel] f32 ← w [steps, kPanel] f16 or [steps, kPanel, 2] bf16, in the order in
    /// which tile_f32 must add to give the bits of the type's own tile.
    void (*widen)(DType type, std::int64_t steps, const void* w, float* out);
    /// Whether widening weights that serve many rows is faster than the type's own tile.
    bool widens_bf16;
    /// out ← in, between f32 and the stored float types.
    void (*to_f32)(const void* in, DType type, std::int64_t n, float* out);
    void (*from_f32)(const float* in, std::int64_t n, DType type, void* out);
    /// out ← round(round(x · rsqrt(mean(x²) + eps)) · round(weight)), rounded to `type`. `out` may
    /// be x if that is f32.
    void (*rms_norm)(const float* x, const float* weight, float eps, std::int64_t n, DType type,
                     void* out);
    // The ends of a product's tile [rows, kPanel], of which the first `columns` are real; out
    // [rows, columns], `stride` elements from row to row; a bias may be null.
    /// out ← tile + bias [columns].
    void (*store_rows)(std::int64_t rows, std::int64_t columns, const float* tile,
                       const float* bias, float* out, std::int64_t stride);
    /// out ← out + (tile + bias [columns]).
    void (*add_rows)(std::int64_t rows, std::int64_t columns, const float* tile, const float* bias,
                     float* out, std::int64_t stride);
    /// Row rows[r] of sums [any, kPanel] += factors[r] · row r of the tile, for `count` rows, which
    /// differ, by fused multiply-add.
    void (*add_scaled_rows)(std::int64_t count, const std::int32_t* rows, const float* factors,
                            const float* tile, float* sums);
    /// out ← silu(gate + bias) · (up + bias), rounded to `type`; the tile's halves are gate and up,
    /// columns ≤ kPanel / 2.
    void (*silu_rows)(std::int64_t rows, std::int64_t columns, const float* tile,
                      const float* gate_bias, const float* up_bias, DType type, void* out,
                      std::int64_t stride);
    /// Rotates the halves of each of `heads` heads of size d; cos_sin holds d/2 cosines, then d/2
    /// sines.
    void (*rope)(float* x, const float* cos_sin, std::int64_t heads, std::int64_t d);
    /// x ← exp(x − max(x)).
    void (*exp_minus_max)(float* x, std::int64_t n);
    RunStats (*run_stats)(const float* logits, std::int64_t n);
    /// Σ exp((x − max) · factor) over x[0 … n), `max` being their largest, factor > 0. NaN counts
    /// as −infinity; what equals the largest adds 1.
    double (*exp_sum)(const float* x, std::int64_t n, float max, float factor);
    /// The largest of x, −infinity if there is none; NaN is passed over.
    float (*max)(const float* x, std::int64_t n);
    /// x ← x + y.
    void (*add)(float* x, const float* y, std::int64_t n);

    // Attention: see attention_layout.h for how keys and values lie in a page.
    /// Scores of a block of pack_x, and sums of values with the weights of softmax_page.
    PanelKernels multiply_keys, multiply_values;
    /// Bytes of a weight of bf16; 4 in the other types.
    std::int64_t bf16_weight_bytes;
    /// One page of keys for `rows` vectors: scores [2, kTileRows, kPanel], of which row r keeps
    /// ranges[r], become exponents by `scale`; the state takes them in; weights [kTileRows, 64],
    /// rounded to `type`, are for multiply_values, 0 where a row does not see. 16 keys that no row
    /// sees are left out. `scores` is used up.
    void (*softmax_page)(DType type, int rows, const KeyRange* ranges, float scale, float* scores,
                         SoftmaxState* state, void* weights);
    /// Row r of each of `panels` tiles of sums times factors[r], for all that are not 1.
    void (*scale_rows)(int rows, const float* factors, std::int64_t panels, float* sums);
    /// out [d] ← row `row` of the panels of sums · inverse, rounded to `type`; sums of −0 count as
    /// +0.
    void (*finish_row)(const float* sums, std::int64_t row, std::int64_t d, float inverse,
                       DType type, void* out);
    /// Keys and values of `tokens` tokens [tokens, d] f32, rows `stride` apart, into one head of a
    /// page from token `first` on.
    void (*store_keys)(DType type, std::int64_t tokens, std::int64_t d, const float* keys,
                       std::int64_t stride, std::int64_t first, void* page);
    void (*store_values)(DType type, std::int64_t tokens, std::int64_t d, const float* values,
                         std::int64_t stride, std::int64_t first, void* page);
    /// Whether none of n values is infinite or NaN.
    bool (*all_finite)(DType type, std::int64_t n, const void* values);

    /// Another set that multiplies at most kFewRows rows in bf16 faster; may be null.
    const Kernels* few_rows = nullptr;
};
inline constexpr std::int64_t kFewRows = 3;

/// The kernels of one set; throws InternalError if this build or this processor lacks it.
const Kernels& kernels_for(Isa isa);
/// The sets that this build and this processor have, in the order of Isa.
std::vector<Isa> available_isas();
/// The set that runs fastest here: the widest, and VDPBF16PS for all rows only if a short trial
/// says so.
Isa fastest_isa();

/// Steps of a tile for k elements.
constexpr std::int64_t steps_of(DType type, std::int64_t k) {
    return type == DType::bf16 ? (k + 1) / 2 : k;
}
/// Bytes of a block of pack_x for k elements.
inline std::int64_t x_block_bytes(const Kernels& kernels, DType type, std::int64_t k) {
    constexpr std::int64_t kF32Step = kTileRows * 4;
    return steps_of(type, k) * (type == DType::bf16 ? kernels.bf16_step_bytes : kF32Step);
}
inline PanelKernel of_type(const PanelKernels& kernels, DType type) {
    return type == DType::f32 ? kernels.f32 : type == DType::f16 ? kernels.f16 : kernels.bf16;
}
inline TileKernel tile_kernel(const Kernels& kernels, DType type) {
    return type == DType::f32   ? kernels.tile_f32
           : type == DType::f16 ? kernels.tile_f16
                                : kernels.tile_bf16;
}

}  // namespace muster::cpu
