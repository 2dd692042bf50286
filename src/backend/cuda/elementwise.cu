#include "cuda/elementwise.h"

#include "cuda/elements.cuh"
#include "cuda/fold.cuh"
#include "cuda/launch.cuh"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

constexpr unsigned kThreads = 256;

/// One thread per four neighbours of a row; blockIdx.y counts rows modulo its size.
__global__ void add_bias_kernel(float* y, std::int64_t y_stride, const float* bias,
                                std::int64_t rows, std::int64_t n, bool whole) {
    const std::int64_t at = 4 * (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x);
    if (at >= n) return;
    float added[4];
    load4(bias, at, n, whole, added);
    for (std::int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
        float four[4];
        load4(y + row * y_stride, at, n, whole, four);
        for (int i = 0; i < 4; ++i) four[i] = four[i] + added[i];
        store4(y + row * y_stride, at, n, whole, four);
    }
}

template <typename T>
__global__ void silu_mul_kernel(const float* product, const float* bias, std::int64_t rows,
                                std::int64_t f, bool whole, T* out, std::int64_t out_stride) {
    const std::int64_t at = 4 * (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x);
    if (at >= f) return;
    float gate_bias[4] = {0, 0, 0, 0}, up_bias[4] = {0, 0, 0, 0};
    if (bias != nullptr) {
        load4(bias, at, f, whole, gate_bias);
        load4(bias + f, at, f, whole, up_bias);
    }
    for (std::int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
        float gate[4], up[4];
        load4(product + row * 2 * f, at, f, whole, gate);
        load4(product + row * 2 * f + f, at, f, whole, up);
        for (int i = 0; i < 4; ++i) {
            if (bias != nullptr) {
                gate[i] = gate[i] + gate_bias[i];
                up[i] = up[i] + up_bias[i];
            }
            gate[i] = silu(gate[i]) * up[i];
        }
        store4(out + row * out_stride, at, f, whole, gate);
    }
}

/// One thread per element: neighbouring threads read neighbouring words of every part.
template <int kCount>
__global__ void fold_kernel(const float* parts, std::int64_t part_stride, std::int64_t begin,
                            std::int64_t size, std::int64_t n, const float* bias, bool add,
                            float* out, std::int64_t out_stride) {
    const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
    for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
         i < size; i += step) {
        const float sum = tree<kCount>(parts + i, part_stride);
        const std::int64_t row = (begin + i) / n, column = (begin + i) % n;
        float* to = out + row * out_stride + column;
        if (!add)
            *to = sum;
        else
            *to = *to + (bias != nullptr ? sum + bias[column] : sum);
    }
}

__global__ void mark_difference_kernel(const std::uint32_t* a, const std::uint32_t* b,
                                       std::int64_t words, std::int32_t* differs) {
    const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
    for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
         i < words; i += step)
        if (a[i] != b[i]) atomicExch(differs, 1);
}

/// Enough blocks to fill a device, no more than the rows need.
unsigned row_blocks(std::int64_t rows, unsigned column_blocks) {
    constexpr std::int64_t kBlocks = 4096;
    const std::int64_t most = kBlocks / column_blocks + 1;
    return static_cast<unsigned>(rows < most ? rows : most);
}

}  // namespace

void add_bias(float* y, std::int64_t y_stride, const float* bias, std::int64_t rows, std::int64_t n,
              cudaStream_t stream) {
    if (rows == 0 || n == 0) return;
    const bool whole =
        by_fours(y, n, y_stride, sizeof(float)) && by_fours(bias, n, n, sizeof(float));
    const unsigned columns = blocks_for(n, 4 * kThreads);
    launch("add_bias", add_bias_kernel, dim3(columns, row_blocks(rows, columns)), kThreads, 0,
           stream, y, y_stride, bias, rows, n, whole);
}

void silu_mul(DType type, const float* product, const float* bias, std::int64_t rows,
              std::int64_t f, void* out, std::int64_t out_stride, cudaStream_t stream) {
    if (rows == 0 || f == 0) return;
    const bool whole = by_fours(product, f, f, sizeof(float)) &&
                       by_fours(out, f, out_stride, size_of(type)) &&
                       (bias == nullptr || by_fours(bias, f, f, sizeof(float)));
    const unsigned columns = blocks_for(f, 4 * kThreads);
    with_element(type, [&](auto* element) {
        using T = std::remove_pointer_t<decltype(element)>;
        launch("silu_mul", silu_mul_kernel<T>, dim3(columns, row_blocks(rows, columns)), kThreads,
               0, stream, product, bias, rows, f, whole, static_cast<T*>(out), out_stride);
    });
}

void fold(const Fold& fold, std::int64_t begin, std::int64_t size, std::int64_t n,
          const float* bias, bool add, float* out, std::int64_t out_stride, cudaStream_t stream) {
    if (size == 0) return;
    const std::int64_t blocks = (size + kThreads - 1) / kThreads;
    const auto start = [&](auto kernel) {
        launch("fold", kernel, dim3(static_cast<unsigned>(blocks < 8192 ? blocks : 8192)), kThreads,
               0, stream, fold.parts, fold.part_stride, begin, size, n, bias, add, out, out_stride);
    };
    switch (fold.count) {
        case 1:
            return start(fold_kernel<1>);
        case 2:
            return start(fold_kernel<2>);
        case 4:
            return start(fold_kernel<4>);
        case 8:
            return start(fold_kernel<8>);
        default:
            throw InternalError(
                cat("fold: ", fold.count, " parts; expected a power of two up to 8"));
    }
}

void mark_difference(const std::uint32_t* a, const std::uint32_t* b, std::int64_t words,
                     std::int32_t* differs, cudaStream_t stream) {
    if (words == 0) return;
    const std::int64_t blocks = (words + kThreads - 1) / kThreads;
    launch("mark_difference", mark_difference_kernel,
           dim3(static_cast<unsigned>(blocks < 4096 ? blocks : 4096)), kThreads, 0, stream, a, b,
           words, differs);
}

}  // namespace muster::cuda
