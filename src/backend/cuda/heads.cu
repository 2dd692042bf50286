// Lanes share a head. A lane takes four neighbours at a time, the same four whether they are moved
// by one instruction or one by one, and sums of lanes fold as in a whole warp of which the lanes
// beyond the head hold zeros: so the order of additions depends on the head's size alone.

#include "cuda/heads.h"

#include "cuda/elements.cuh"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "muster/backend/backend.h"

namespace muster::cuda {

namespace {

constexpr unsigned kThreads = 128;

template <int kLanes>
__device__ __forceinline__ float sum_of_lanes(float value) {
    return reduce_warp<kLanes>(value, [](float a, float b) { return a + b; });
}

/// blockIdx.x counts rows; blockIdx.y and warps count heads.
__global__ void __launch_bounds__(kThreads)
    norm_heads_kernel(float* x, std::int64_t x_stride, const float* weight, float eps,
                      std::int64_t heads, std::int64_t d, bool whole) {
    const std::int64_t head = blockIdx.y * (kThreads / 32) + threadIdx.x / 32;
    if (head >= heads) return;
    float* row = x + blockIdx.x * x_stride + head * d;
    const std::int64_t first = 4 * (threadIdx.x % 32);
    float four[4], factors[4], squares = 0;
    for (std::int64_t at = first; at < d; at += 128) {
        load4(row, at, d, whole, four);
        for (int i = 0; i < 4; ++i) squares = fmaf(four[i], four[i], squares);
    }
    const float inverse = inverse_norm(sum_of_lanes<32>(squares), static_cast<float>(d), eps);
    for (std::int64_t at = first; at < d; at += 128) {
        load4(row, at, d, whole, four);
        load4(weight, at, d, whole, factors);
        for (int i = 0; i < 4; ++i) four[i] = four[i] * inverse * factors[i];
        store4(row, at, d, whole, four);
    }
}

/// kLanes lanes have a head, kFours times four neighbours each; d ≤ 4 · kLanes, or twice that.
/// Lanes beyond the head or the last head go along with zeros. blockIdx.x counts rows.
template <typename T, int kLanes, int kFours>
__global__ void __launch_bounds__(kThreads)
    prepare_attention_kernel(const __grid_constant__ HeadsCall call) {
    const std::int64_t row = blockIdx.x;
    const int head = static_cast<int>(blockIdx.y * (kThreads / kLanes) + threadIdx.x / kLanes),
              lane = static_cast<int>(threadIdx.x % kLanes);
    const int d = call.d, half = d / 2, lane_at = 4 * lane;
    const bool is_q = head < call.heads, is_v = head >= call.heads + call.kv_heads;
    const bool there = head < call.heads + 2 * call.kv_heads && lane_at < d;
    float* const from = call.qkv + row * call.qkv_stride + std::int64_t{head} * d;

    const float* const weight = is_q ? call.q_weight : is_v ? nullptr : call.k_weight;
    const bool low = kFours == 2 || lane_at < half;  // of its first four

    // All loads first: with few rows their latency is what the kernel takes.
    float x[kFours][4] = {}, factors[kFours][4] = {}, cosine[4] = {}, sine[4] = {};
    RowPlace place{};
    if (there) {
        for (int c = 0; c < kFours; ++c) {
            load4(from, lane_at + c * 4 * kLanes, d, true, x[c]);
            if (weight != nullptr) load4(weight, lane_at + c * 4 * kLanes, d, true, factors[c]);
        }
        if (!is_v) {
            const float* cosines = call.cos_sin + row * call.cos_sin_stride;
            const int pair = low ? lane_at : lane_at - half;
            load4(cosines, pair, half, true, cosine);
            load4(cosines + half, pair, half, true, sine);
        }
        if (!is_q) place = call.places[row];
    }

    if (call.q_weight != nullptr || call.k_weight != nullptr) {
        float squares = 0;
        for (int c = 0; c < kFours; ++c)
            for (int i = 0; i < 4; ++i) squares = fmaf(x[c][i], x[c][i], squares);
        squares = sum_of_lanes<kLanes>(squares);
        if (there && weight != nullptr) {
            const float inverse =
                inverse_norm(squares, static_cast<float>(d), is_q ? call.q_eps : call.k_eps);
            for (int c = 0; c < kFours; ++c)
                for (int i = 0; i < 4; ++i) x[c][i] = x[c][i] * inverse * factors[c][i];
        }
    }

    // Each element's other half: in this lane if it has two fours, else some lanes away.
    float other[kFours][4];
    for (int i = 0; i < 4; ++i) {
        if constexpr (kFours == 1) {
            const int away = half / 4;
            other[0][i] = __shfl_sync(kAllLanes, x[0][i], low ? lane + away : lane - away, kLanes);
        } else {
            other[0][i] = x[1][i];
            other[1][i] = x[0][i];
        }
    }
    if (!there) return;
    if (!is_v) {
        for (int c = 0; c < kFours; ++c)
            for (int i = 0; i < 4; ++i) {
                const float turned = low && c == 0 ? -other[c][i] : other[c][i];
                x[c][i] = fmaf(turned, sine[i], x[c][i] * cosine[i]);
            }
    }
    if (is_q) {
        for (int c = 0; c < kFours; ++c) store4(from, lane_at + c * 4 * kLanes, d, true, x[c]);
        return;
    }
    const std::int64_t kv_head = head - call.heads - (is_v ? call.kv_heads : 0);
    const std::int64_t token =
        (std::int64_t{place.page} * call.kv_heads + kv_head) * kKvPageTokens + place.slot;
    T* const to = static_cast<T*>(is_v ? call.values : call.keys) + token * d;
    for (int c = 0; c < kFours; ++c) store4(to, lane_at + c * 4 * kLanes, d, true, x[c]);
}

template <typename T, int kLanes, int kFours>
void launch_prepare(const HeadsCall& call, cudaStream_t stream) {
    const dim3 grid(blocks_for(call.rows, 1),
                    blocks_for(call.heads + 2 * call.kv_heads, kThreads / kLanes));
    launch("prepare_attention", prepare_attention_kernel<T, kLanes, kFours>, grid, kThreads, 0,
           stream, call);
}

}  // namespace

void norm_heads(float* x, std::int64_t x_stride, const float* weight, float eps, std::int64_t rows,
                std::int64_t heads, std::int64_t d, cudaStream_t stream) {
    if (rows == 0 || heads == 0) return;
    const bool whole =
        by_fours(x, d, x_stride, sizeof(float)) && by_fours(weight, d, d, sizeof(float));
    launch("norm_heads", norm_heads_kernel,
           dim3(blocks_for(rows, 1), blocks_for(heads, kThreads / 32)), kThreads, 0, stream, x,
           x_stride, weight, eps, heads, d, whole);
}

bool prepare_attention(DType type, const HeadsCall& call, cudaStream_t stream) {
    const std::int64_t d = call.d;
    const bool whole = by_fours(call.qkv, d, call.qkv_stride, sizeof(float)) &&
                       by_fours(call.cos_sin, d, call.cos_sin_stride, sizeof(float)) &&
                       by_fours(call.q_weight, d, d, sizeof(float)) &&  // null is aligned, too
                       by_fours(call.k_weight, d, d, sizeof(float)) &&
                       by_fours(call.keys, d, d, size_of(type)) &&
                       by_fours(call.values, d, d, size_of(type));
    if (d % 8 != 0 || (d > 128 && d != 256) || !whole) return false;
    if (call.rows == 0) return true;
    with_element(type, [&](auto* element) {
        using T = std::remove_pointer_t<decltype(element)>;
        if (d <= 32)
            launch_prepare<T, 8, 1>(call, stream);
        else if (d <= 64)
            launch_prepare<T, 16, 1>(call, stream);
        else if (d <= 128)
            launch_prepare<T, 32, 1>(call, stream);
        else
            launch_prepare<T, 32, 2>(call, stream);
    });
    return true;
}

}  // namespace muster::cuda
