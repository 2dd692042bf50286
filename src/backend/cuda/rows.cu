// One block per row, but for copies of pages. A thread takes four neighbours at a time, by one
// instruction or one by one.

#include "cuda/rows.h"

#include <algorithm>

#include "cuda/elements.cuh"
#include "cuda/launch.cuh"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

template <typename T>
__global__ void embed_kernel(const T* table, const std::int32_t* ids, std::int64_t hidden,
                             bool whole, float* out, std::int64_t out_stride) {
    const std::int64_t row = blockIdx.x;
    const T* from = table + ids[row] * hidden;
    float* to = out + row * out_stride;
    for (std::int64_t at = 4 * threadIdx.x; at < hidden; at += 4 * blockDim.x) {
        float four[4];
        load4(from, at, hidden, whole, four);
        store4(to, at, hidden, whole, four);
    }
}

/// Four pairs of a head's halves at a time where `whole`, else one pair.
__global__ void rope_kernel(float* x, std::int64_t x_stride, const float* cos_sin,
                            std::int64_t cos_sin_stride, std::int64_t heads, std::int64_t d,
                            bool whole) {
    const std::int64_t row = blockIdx.x, half = d / 2;
    const std::int64_t step = whole ? 4 : 1, per_head = half / step;
    const float* cosines = cos_sin + row * cos_sin_stride;
    for (std::int64_t task = threadIdx.x; task < heads * per_head; task += blockDim.x) {
        const std::int64_t head = task / per_head, at = task % per_head * step;
        float* low = x + row * x_stride + head * d;
        float* high = low + half;
        float a[4], b[4], cosine[4], sine[4], turned_a[4], turned_b[4];
        const std::int64_t end = at + step;  // of what this thread may touch
        load4(low, at, end, whole, a);
        load4(high, at, end, whole, b);
        load4(cosines, at, end, whole, cosine);
        load4(cosines + half, at, end, whole, sine);
        for (int i = 0; i < 4; ++i) {
            turned_a[i] = fmaf(-b[i], sine[i], a[i] * cosine[i]);
            turned_b[i] = fmaf(a[i], sine[i], b[i] * cosine[i]);
        }
        store4(low, at, end, whole, turned_a);
        store4(high, at, end, whole, turned_b);
    }
}

template <typename T>
__global__ void gather_kernel(const T* x, std::int64_t x_stride, const std::int32_t* ids,
                              std::int64_t n, bool whole, T* out, std::int64_t out_stride) {
    const std::int64_t row = blockIdx.x;
    const T* from = x + ids[row] * x_stride;
    T* to = out + row * out_stride;
    for (std::int64_t at = 4 * threadIdx.x; at < n; at += 4 * blockDim.x) {
        if (whole) {
            *reinterpret_cast<Four<T>*>(to + at) = *reinterpret_cast<const Four<T>*>(from + at);
        } else {
            for (std::int64_t i = at; i < n && i < at + 4; ++i) to[i] = from[i];
        }
    }
}

/// blockIdx.y: 0 keys, 1 values.
template <typename T>
__global__ void store_kv_kernel(const float* k, std::int64_t k_stride, const float* v,
                                std::int64_t v_stride, const RowPlace* places,
                                std::int64_t kv_heads, std::int64_t d, bool whole, T* keys,
                                T* values) {
    const std::int64_t row = blockIdx.x;
    const float* from = blockIdx.y == 0 ? k + row * k_stride : v + row * v_stride;
    T* pages = blockIdx.y == 0 ? keys : values;
    const RowPlace place = places[row];
    const std::int64_t fours = (d + 3) / 4;
    for (std::int64_t task = threadIdx.x; task < kv_heads * fours; task += blockDim.x) {
        const std::int64_t head = task / fours, at = task % fours * 4;
        T* to = pages + ((place.page * kv_heads + head) * kKvPageTokens + place.slot) * d;
        float four[4];
        load4(from + head * d, at, d, whole, four);
        store4(to, at, d, whole, four);
    }
}

struct PageCopies {
    PageCopy at[kMostPageCopies];
};
constexpr int kCopyThreads = 256, kCopiesOfThread = 4;

/// blockIdx.y: the copy; a thread takes kCopiesOfThread chunks of 16 bytes.
__global__ void copy_pages_kernel(const __grid_constant__ PageCopies copies, std::int64_t chunks,
                                  uint4* cache) {
    const PageCopy copy = copies.at[blockIdx.y];
    const uint4* from = cache + copy.from * chunks;
    uint4* to = cache + copy.to * chunks;
    const std::int64_t first =
        std::int64_t{blockIdx.x} * (kCopyThreads * kCopiesOfThread) + threadIdx.x;
    uint4 held[kCopiesOfThread];
#pragma unroll
    for (int i = 0; i < kCopiesOfThread; ++i)
        if (first + i * kCopyThreads < chunks) held[i] = from[first + i * kCopyThreads];
#pragma unroll
    for (int i = 0; i < kCopiesOfThread; ++i)
        if (first + i * kCopyThreads < chunks) to[first + i * kCopyThreads] = held[i];
}

}  // namespace

void embed(DType type, const void* table, const std::int32_t* ids, std::int64_t rows,
           std::int64_t hidden, float* out, std::int64_t out_stride, cudaStream_t stream) {
    if (rows == 0) return;
    const bool whole = by_fours(table, hidden, hidden, size_of(type)) &&
                       by_fours(out, hidden, out_stride, sizeof(float));
    with_element(type, [&](auto* element) {
        using T = std::remove_pointer_t<decltype(element)>;
        launch("embed", embed_kernel<T>, dim3(blocks_for(rows, 1)), threads_for_row(hidden), 0,
               stream, static_cast<const T*>(table), ids, hidden, whole, out, out_stride);
    });
}

void rope(float* x, std::int64_t x_stride, const float* cos_sin, std::int64_t cos_sin_stride,
          std::int64_t rows, std::int64_t heads, std::int64_t d, cudaStream_t stream) {
    if (rows == 0) return;
    const bool whole = d % 8 == 0 && by_fours(x, d, x_stride, sizeof(float)) &&
                       by_fours(cos_sin, d, cos_sin_stride, sizeof(float));
    launch("rope", rope_kernel, dim3(blocks_for(rows, 1)), threads_for_row(heads * d / 2), 0,
           stream, x, x_stride, cos_sin, cos_sin_stride, heads, d, whole);
}

void gather_rows(DType type, const void* x, std::int64_t x_stride, const std::int32_t* ids,
                 std::int64_t rows, std::int64_t n, void* out, std::int64_t out_stride,
                 cudaStream_t stream) {
    if (rows == 0) return;
    const bool whole =
        by_fours(x, n, x_stride, size_of(type)) && by_fours(out, n, out_stride, size_of(type));
    with_element(type, [&](auto* element) {
        using T = std::remove_pointer_t<decltype(element)>;
        launch("gather_rows", gather_kernel<T>, dim3(blocks_for(rows, 1)), threads_for_row(n), 0,
               stream, static_cast<const T*>(x), x_stride, ids, n, whole, static_cast<T*>(out),
               out_stride);
    });
}

void store_kv(DType type, const float* k, std::int64_t k_stride, const float* v,
              std::int64_t v_stride, const RowPlace* places, std::int64_t rows,
              std::int64_t kv_heads, std::int64_t d, void* keys, void* values,
              cudaStream_t stream) {
    if (rows == 0) return;
    const bool whole = by_fours(k, d, k_stride, sizeof(float)) &&
                       by_fours(v, d, v_stride, sizeof(float)) &&
                       by_fours(keys, d, d, size_of(type)) && by_fours(values, d, d, size_of(type));
    with_element(type, [&](auto* element) {
        using T = std::remove_pointer_t<decltype(element)>;
        launch("store_kv", store_kv_kernel<T>, dim3(blocks_for(rows, 1), 2),
               threads_for_row(kv_heads * ((d + 3) / 4 * 4)), 0, stream, k, k_stride, v, v_stride,
               places, kv_heads, d, whole, static_cast<T*>(keys), static_cast<T*>(values));
    });
}

void copy_pages(std::span<const PageCopy> copies, std::int64_t page_bytes, void* cache,
                cudaStream_t stream) {
    if (copies.empty() || page_bytes == 0) return;
    if (copies.size() > kMostPageCopies || page_bytes % 16 != 0)
        throw InternalError(cat("copy_pages: ", copies.size(), " pages of ", page_bytes, " bytes"));
    PageCopies arguments{};
    std::copy(copies.begin(), copies.end(), arguments.at);
    const std::int64_t chunks = page_bytes / 16;
    launch("copy_pages", copy_pages_kernel,
           dim3(blocks_for(chunks, kCopyThreads * kCopiesOfThread),
                static_cast<unsigned>(copies.size())),
           kCopyThreads, 0, stream, arguments, chunks, static_cast<uint4*>(cache));
}

}  // namespace muster::cuda
