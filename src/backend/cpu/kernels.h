#pragma once
// The inner loops of the CPU backend, compiled once per instruction set from kernels_body.h. All
// sets give the same bits: every loop fixes the order of its operations, uses fused multiply-add
// explicitly, and calls no mathematical function of the C library but sqrt.

#include <cstdint>
#include <vector>

#include "muster/tensor/dtype.h"

namespace muster::cpu {

enum class Isa { generic, avx2, avx512 };

/// Rows and columns of one tile of a matrix product. Packed weights are panels [k, kPanel].
inline constexpr int kTileRows = 12;
inline constexpr int kPanel = 32;

/// Log-softmax statistics of a run of logits.
struct RunStats {
    float max = 0;  ///< −infinity if the run is empty
    float sum = 0;  ///< Σ exp(logit − max)
    std::int64_t argmax = 0;
};

struct Kernels {
    const char* name;
    /// c [kTileRows, kPanel] ← (add ? c : 0) + Σ_k x[k, row] · w[k, column], k ascending; x [k,
    /// kTileRows], only the first `rows` rows are computed. `w_stride` elements from one k to the
    /// next.
    void (*tile_f32)(int rows, std::int64_t k, const float* x, const void* w, std::int64_t w_stride,
                     float* c, bool add);
    void (*tile_f16)(int rows, std::int64_t k, const float* x, const void* w, std::int64_t w_stride,
                     float* c, bool add);
    void (*tile_bf16)(int rows, std::int64_t k, const float* x, const void* w,
                      std::int64_t w_stride, float* c, bool add);
    /// out ← in, between f32 and the stored float types.
    void (*to_f32)(const void* in, DType type, std::int64_t n, float* out);
    void (*from_f32)(const float* in, std::int64_t n, DType type, void* out);
    /// out ← round(round(x · rsqrt(mean(x²) + eps)) · round(weight)), rounded to `type`.
    void (*rms_norm)(const float* x, const float* weight, float eps, std::int64_t n, DType type,
                     void* out);
    /// out ← silu(gate) · up, rounded to `type`.
    void (*silu_mul)(const float* gate, const float* up, std::int64_t n, DType type, void* out);
    /// Rotates the halves of each of `heads` heads of size d; cos_sin holds d/2 cosines, then d/2
    /// sines.
    void (*rope)(float* x, const float* cos_sin, std::int64_t heads, std::int64_t d);
    /// x ← exp(x − max(x)).
    void (*exp_minus_max)(float* x, std::int64_t n);
    RunStats (*run_stats)(const float* logits, std::int64_t n);
    /// x ← x · scale.
    void (*scale)(float* x, std::int64_t n, float scale);
};

/// The kernels of one set; throws InternalError if this build or this processor lacks it.
const Kernels& kernels_for(Isa isa);
/// The sets that this build and this processor have, slowest first.
std::vector<Isa> available_isas();

}  // namespace muster::cpu
