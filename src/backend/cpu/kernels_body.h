// The kernels of one instruction set. Each kernels_<set>.cpp includes its vec_<set>.h, then this
// file, and hands out kKernels. Everything has internal linkage and no inline function of the
// standard library or of another header is called: such a function, compiled here for AVX-512,
// could be the copy that the linker keeps for processors without it.
//
// Order of additions: tiles as kernels.h says; reductions over a vector run in 16
// lanes, lane i taking elements i, i + 16, …, and the lanes fold as a binary tree.

#include <cstddef>
#include <cstdint>

#include "cpu/kernels.h"

namespace {

using muster::DType;
using muster::cpu::Ahead;
using muster::cpu::Kernels;
using muster::cpu::KeyRange;
using muster::cpu::kPanel;
using muster::cpu::kTileRows;
using muster::cpu::RunStats;
using muster::cpu::SoftmaxState;

constexpr float kInfinity = __builtin_inff();
constexpr int kLanes = 16;

}  // namespace

#include "cpu/tiles_body.h"

namespace {

// --- conversions ---------------------------------------------------------------------------------

template <DType type>
constexpr std::int64_t kItem = type == DType::f32 ? 4 : 2;

/// Sixteen elements of a type as floats.
template <DType type>
inline Vec load_as(const void* p) {
    if constexpr (type == DType::f32) return load(static_cast<const float*>(p));
    if constexpr (type == DType::f16) return load_f16(static_cast<const std::uint16_t*>(p));
    if constexpr (type == DType::bf16) return load_bf16(static_cast<const std::uint16_t*>(p));
}
template <DType type>
inline void store_as(void* p, Vec a) {
    if constexpr (type == DType::f32) store(static_cast<float*>(p), a);
    if constexpr (type == DType::f16) store_f16(static_cast<std::uint16_t*>(p), a);
    if constexpr (type == DType::bf16) store_bf16(static_cast<std::uint16_t*>(p), a);
}
/// The first n ≤ 16 elements; the other lanes are zero.
template <DType type>
inline Vec load_some(const void* p, std::int64_t n) {
    if (n == kLanes) return load_as<type>(p);
    alignas(64) std::byte padded[64] = {};
    __builtin_memcpy(padded, p, static_cast<std::size_t>(n * kItem<type>));
    return load_as<type>(padded);
}
template <DType type>
inline void store_some(void* p, Vec a, std::int64_t n) {
    if (n == kLanes) return store_as<type>(p, a);
    alignas(64) std::byte all[64];
    store_as<type>(all, a);
    __builtin_memcpy(p, all, static_cast<std::size_t>(n * kItem<type>));
}

/// Calls call<type>(…) for a type that is known only when the program runs.
#define MUSTER_BY_TYPE(type, call, ...)                   \
    (type == DType::f32   ? call<DType::f32>(__VA_ARGS__) \
     : type == DType::f16 ? call<DType::f16>(__VA_ARGS__) \
                          : call<DType::bf16>(__VA_ARGS__))

template <DType type>
void widen_all(const std::byte* in, std::int64_t n, float* out) {
    for (std::int64_t i = 0; i < n; i += kLanes) {
        const std::int64_t m = n - i < kLanes ? n - i : kLanes;
        store_some<DType::f32>(out + i, load_some<type>(in + i * kItem<type>, m), m);
    }
}
template <DType type>
void narrow_all(const float* in, std::int64_t n, std::byte* out) {
    for (std::int64_t i = 0; i < n; i += kLanes) {
        const std::int64_t m = n - i < kLanes ? n - i : kLanes;
        store_some<type>(out + i * kItem<type>, load_some<DType::f32>(in + i, m), m);
    }
}

void to_f32(const void* in, DType type, std::int64_t n, float* out) {
    const auto* bytes = static_cast<const std::byte*>(in);
    MUSTER_BY_TYPE(type, widen_all, bytes, n, out);
}

void from_f32(const float* in, std::int64_t n, DType type, void* out) {
    auto* bytes = static_cast<std::byte*>(out);
    MUSTER_BY_TYPE(type, narrow_all, in, n, bytes);
}

// --- exp -----------------------------------------------------------------------------------------

/// exp(x) with a relative error below 2^-22: x = n·ln 2 + r, |r| ≤ ln 2 / 2; the polynomial of
/// degree 7 is the Taylor series with its last terms adjusted by Cephes' expf (S. Moshier, netlib).
/// Underflow goes through subnormals to 0, overflow to infinity, NaN stays NaN.
inline float exp_f32(float x) {
    const float low = x < -104.0f ? -104.0f : x;
    const float clamped = low > 89.0f ? 89.0f : low;
    const float shifted =
        __builtin_fmaf(clamped, 1.44269504f, 12582912.0f);  // 1.5·2^23: n in the low bits
    const float whole = shifted - 12582912.0f;
    float r = __builtin_fmaf(whole, -0.693359375f, clamped);
    r = __builtin_fmaf(whole, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = __builtin_fmaf(p, r, 1.3981999507e-3f);
    p = __builtin_fmaf(p, r, 8.3334519073e-3f);
    p = __builtin_fmaf(p, r, 4.1665795894e-2f);
    p = __builtin_fmaf(p, r, 1.6666665459e-1f);
    p = __builtin_fmaf(p, r, 5.0000001201e-1f);
    p = __builtin_fmaf(p, r * r, r);
    p += 1.0f;
    // 2^n in two factors, so that results below 2^-126 and n = 128 come out right.
    const std::int32_t n =
        static_cast<std::int32_t>(__builtin_bit_cast(std::uint32_t, shifted) - 0x4b400000u);
    const std::int32_t half = n >> 1;
    const float a = __builtin_bit_cast(float, static_cast<std::uint32_t>(half + 127) << 23);
    const float b = __builtin_bit_cast(float, static_cast<std::uint32_t>(n - half + 127) << 23);
    return p * a * b;
}

// --- reductions ----------------------------------------------------------------------------------

template <typename T>
inline T fold_sum(T* lanes) {
    for (int width = kLanes / 2; width > 0; width /= 2) {
        for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
    }
    return lanes[0];
}

inline float max_of(const float* x, std::int64_t n) {
    float lanes[kLanes];
    for (float& lane : lanes) lane = -kInfinity;
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (int j = 0; j < kLanes; ++j) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
    }
    for (; i < n; ++i) lanes[0] = x[i] > lanes[0] ? x[i] : lanes[0];
    for (int j = 1; j < kLanes; ++j) lanes[0] = lanes[j] > lanes[0] ? lanes[j] : lanes[0];
    return lanes[0];
}

}  // namespace

#include "cpu/rows_body.h"

namespace {

// --- row operations ------------------------------------------------------------------------------

void rope(float* x, const float* cos_sin, std::int64_t heads, std::int64_t d) {
    const std::int64_t half = d / 2;
    const float* sine = cos_sin + half;
    for (std::int64_t h = 0; h < heads; ++h) {
        float* first = x + h * d;
        float* second = first + half;
        for (std::int64_t i = 0; i < half; ++i) {
            const float a = first[i], b = second[i];
            first[i] = __builtin_fmaf(a, cos_sin[i], -(b * sine[i]));
            second[i] = __builtin_fmaf(b, cos_sin[i], a * sine[i]);
        }
    }
}

void exp_minus_max(float* x, std::int64_t n) {
    const float max = max_of(x, n);
    for (std::int64_t i = 0; i < n; ++i) x[i] = exp_f32(x[i] - max);
}

RunStats run_stats(const float* logits, std::int64_t n) {
    RunStats stats;
    stats.max = max_of(logits, n);
    while (stats.argmax < n && logits[stats.argmax] != stats.max) ++stats.argmax;
    if (stats.argmax == n) stats.argmax = 0;  // nothing but NaN
    float lanes[kLanes] = {};
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (int j = 0; j < kLanes; ++j) lanes[j] += exp_f32(logits[i + j] - stats.max);
    }
    for (int j = 0; i + j < n; ++j) lanes[j] += exp_f32(logits[i + j] - stats.max);
    stats.sum = fold_sum(lanes);
    return stats;
}

double exp_sum(const float* x, std::int64_t n, float max, float factor) {
    const auto term = [&](float value) {
        const float number = value == value ? value : -kInfinity;
        return number == max ? 1.0f : exp_f32((number - max) * factor);
    };
    double lanes[kLanes] = {};
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        float terms[kLanes];
        for (int j = 0; j < kLanes; ++j) terms[j] = term(x[i + j]);
        for (int j = 0; j < kLanes; ++j) lanes[j] += static_cast<double>(terms[j]);
    }
    for (int j = 0; i + j < n; ++j) lanes[j] += static_cast<double>(term(x[i + j]));
    return fold_sum(lanes);
}

void add(float* x, const float* y, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) x[i] += y[i];
}

}  // namespace

#include "cpu/attention_body.h"

namespace {

constexpr Kernels make_kernels(const char* name) {
    return {.name = name,
            .tile_f32 = tile<StepF32>,
            .tile_f16 = tile<StepF16>,
            .tile_bf16 = tile<StepPair>,
            .stream = {panels<StepF32, kFirstLevel>, panels<StepF16, kFirstLevel>,
                       panels<StepPair, kFirstLevel>},
            .bf16_step_bytes = kPairStepBytes,
            .pack_x = pack_x,
            .widen = widen,
            .widens_bf16 = kPairStepBytes == StepBf16::kX * std::int64_t{sizeof(float)},
            .to_f32 = to_f32,
            .from_f32 = from_f32,
            .rms_norm = rms_norm,
            .store_rows = end_rows<false>,
            .add_rows = end_rows<true>,
            .add_scaled_rows = add_scaled_rows,
            .silu_rows = silu_rows,
            .rope = rope,
            .exp_minus_max = exp_minus_max,
            .run_stats = run_stats,
            .exp_sum = exp_sum,
            .max = max_of,
            .add = add,
            .multiply_keys = {panels<StepF32, kSecondLevel>, panels<StepF16, kSecondLevel>,
                              panels<StepPair, kSecondLevel>},
            .multiply_values = {panels<WeightF32, kSecondLevel>, panels<WeightF16, kSecondLevel>,
                                panels<WeightPair, kSecondLevel>},
            .bf16_weight_bytes = kPairWeightBytes,
            .softmax_page = softmax_page,
            .scale_rows = scale_rows,
            .finish_row = finish_row,
            .store_keys = store_keys,
            .store_values = store_values,
            .all_finite = all_finite};
}

}  // namespace
