// One block per row, which stays in registers between sum and result: with few rows the kernel
// takes as long as its loads, and all of them are on their way before the first addition.
//
// Thread t takes the fours of neighbours t, t + threads, …, whether they are moved by one
// instruction or one by one, and threads fold as in reduce.cuh: the order of a row's additions
// depends on its size alone, and is the same with and without a sum in front.

#include "cuda/norm.h"

#include "cuda/fold.cuh"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

constexpr unsigned kMaxThreads = 512;
constexpr int kMaxFours = 8;  ///< of a thread, in registers

/// Fours per thread, and threads, for rows of n elements; fours is 0 if registers do not hold them.
struct NormShape {
    int fours;
    unsigned threads;
};
NormShape norm_shape(std::int64_t n) {
    const std::int64_t all = (n + 3) / 4;
    int fours = 1;
    while ((all + fours - 1) / fours > kMaxThreads && fours < kMaxFours) fours *= 2;
    const std::int64_t needed = (all + fours - 1) / fours;
    if (needed > kMaxThreads) return {0, kMaxThreads};
    return {fours, static_cast<unsigned>((needed + 31) / 32 * 32)};
}

/// The norm of four elements.
template <typename T>
__device__ __forceinline__ void store_normed(const NormCall& call, std::int64_t row,
                                             std::int64_t at, bool whole, float inverse,
                                             const float (&x)[4], const float (&factors)[4]) {
    float four[4];
    for (int i = 0; i < 4; ++i) four[i] = rounded<T>(x[i] * inverse) * rounded<T>(factors[i]);
    store4(static_cast<T*>(call.out) + row * call.out_stride, at, call.n, whole, four);
}
__device__ __forceinline__ void store_normed(const NormCall& call, std::int64_t row,
                                             std::int64_t at, bool whole, float inverse,
                                             const float (&x)[4], const float (&factors)[4]) {
    if (call.type == DType::bf16)
        store_normed<__nv_bfloat16>(call, row, at, whole, inverse, x, factors);
    else if (call.type == DType::f16)
        store_normed<__half>(call, row, at, whole, inverse, x, factors);
    else
        store_normed<float>(call, row, at, whole, inverse, x, factors);
}

__device__ __forceinline__ float inverse_of(const NormCall& call, float squares,
                                            float (&slots)[32]) {
    squares = reduce_block(squares, 0.0f, slots, [](float a, float b) { return a + b; });
    return inverse_norm(squares, static_cast<float>(call.n), call.eps);
}

/// Many parts come with few rows, where loads on their way count for more than blocks that share a
/// multiprocessor; the longest rows fill the registers.
constexpr int min_blocks(int parts, int fours) {
    return parts >= 4 || fours == kMaxFours ? 1 : 2;
}

/// Everything is aligned to fours. kParts 0: there is nothing to add.
template <int kParts, int kFours>
__global__ void __launch_bounds__(kMaxThreads, min_blocks(kParts, kFours))
    norm_kernel(const __grid_constant__ NormCall call) {
    __shared__ float slots[32];
    const std::int64_t row = blockIdx.x;
    float* const from = call.x + row * call.x_stride;
    const auto place = [&](int f) {
        return 4 * static_cast<std::int64_t>(threadIdx.x + f * blockDim.x);
    };
    // Where registers hold all that is loaded, threads beyond the row's end load the last four in
    // vain: a branch would keep loads waiting for each other. Of x, which another thread may be
    // writing by then, they take the weight's instead.
    constexpr bool kAllFits = kFours < kMaxFours;
    float x[kFours][4] = {}, factors[kFours][4] = {}, squares = 0;
    for (int f = 0; f < kFours; ++f) {
        if (!kAllFits && place(f) >= call.n) continue;
        const std::int64_t at = place(f) < call.n ? place(f) : call.n - 4;
        load4(place(f) < call.n ? from : call.weight, at, call.n, true, x[f]);
        if (kAllFits) load4(call.weight, at, call.n, true, factors[f]);
        if constexpr (kParts > 0) {
            float sum[4], bias[4];
            tree4<kParts>(call.fold.parts + row * call.n + at, call.fold.part_stride, sum);
            if (call.bias != nullptr) {
                load4(call.bias, at, call.n, true, bias);
                for (int i = 0; i < 4; ++i) sum[i] = sum[i] + bias[i];
            }
            for (int i = 0; i < 4; ++i) x[f][i] = x[f][i] + sum[i];
        }
    }
    for (int f = 0; f < kFours; ++f) {
        if (place(f) >= call.n) continue;
        if (kParts > 0) store4(from, place(f), call.n, true, x[f]);
        for (int i = 0; i < 4; ++i) squares = fmaf(x[f][i], x[f][i], squares);
    }
    const float inverse = inverse_of(call, squares, slots);
    for (int f = 0; f < kFours; ++f) {
        const std::int64_t at = place(f);
        if (at >= call.n) continue;
        if (!kAllFits) load4(call.weight, at, call.n, true, factors[f]);
        store_normed(call, row, at, true, inverse, x[f], factors[f]);
    }
}

/// For rows of any size and address: what a thread adds up it writes, and reads again.
template <int kParts>
__global__ void __launch_bounds__(kMaxThreads)
    norm_any_kernel(const __grid_constant__ NormCall call) {
    __shared__ float slots[32];
    const std::int64_t row = blockIdx.x;
    float* const from = call.x + row * call.x_stride;
    float squares = 0;
    for (std::int64_t first = 4 * threadIdx.x; first < call.n; first += 4 * blockDim.x) {
        for (std::int64_t at = first; at < first + 4 && at < call.n; ++at) {
            float x = from[at];
            if constexpr (kParts > 0) {
                const float sum =
                    tree<kParts>(call.fold.parts + row * call.n + at, call.fold.part_stride);
                x = x + (call.bias != nullptr ? sum + call.bias[at] : sum);
                from[at] = x;
            }
            squares = fmaf(x, x, squares);
        }
    }
    const float inverse = inverse_of(call, squares, slots);
    for (std::int64_t at = 4 * threadIdx.x; at < call.n; at += 4 * blockDim.x) {
        float x[4], factors[4];
        load4(from, at, call.n, false, x);
        load4(call.weight, at, call.n, false, factors);
        store_normed(call, row, at, false, inverse, x, factors);
    }
}

template <int kParts>
void launch_norm(const NormCall& call, cudaStream_t stream) {
    const NormShape shape = norm_shape(call.n);
    const bool whole =
        by_fours(call.x, call.n, call.x_stride, sizeof(float)) &&
        by_fours(call.weight, call.n, call.n, sizeof(float)) &&
        by_fours(call.out, call.n, call.out_stride, size_of(call.type)) &&
        by_fours(call.bias, call.n, call.n, sizeof(float)) &&  // null is aligned, too
        by_fours(call.fold.parts, call.n, call.fold.part_stride, sizeof(float));
    void (*kernel)(NormCall) = norm_any_kernel<kParts>;
    if (whole && shape.fours == 1) kernel = norm_kernel<kParts, 1>;
    if (whole && shape.fours == 2) kernel = norm_kernel<kParts, 2>;
    if (whole && shape.fours == 4) kernel = norm_kernel<kParts, 4>;
    if (whole && shape.fours == 8) kernel = norm_kernel<kParts, 8>;
    launch(kParts > 0 ? "add_norm" : "rms_norm", kernel, dim3(blocks_for(call.rows, 1)),
           shape.threads, 0, stream, call);
}

}  // namespace

void norm(const NormCall& call, cudaStream_t stream) {
    if (call.rows == 0 || call.n == 0) return;
    if (call.fold.parts == nullptr) return launch_norm<0>(call, stream);
    switch (call.fold.count) {
        case 1:
            return launch_norm<1>(call, stream);
        case 2:
            return launch_norm<2>(call, stream);
        case 4:
            return launch_norm<4>(call, stream);
        case 8:
            return launch_norm<8>(call, stream);
        default:
            throw InternalError(
                cat("norm: ", call.fold.count, " parts; expected a power of two up to 8"));
    }
}

}  // namespace muster::cuda
