#pragma once
// The 16-bit kernels and which of them a call takes.

#include "cuda/attention_launch.cuh"
#include "cuda/attention_mma.cuh"

namespace muster::cuda {

// What decides how many blocks a multiprocessor holds, for head size 128 and nvcc 13.0, nothing
// spilled: few rows 128 registers and 68 KiB, three blocks on sm_90 and two on sm_80 by shared
// memory; many rows 255 registers and 68 KiB, two blocks on both by registers.

/// Few vectors of a sequence: 16, and four slots of pages, so that about 100 KiB are on their way
/// to a multiprocessor. With few sequences it is the time of a block that counts, so warps share
/// the columns of values, more than half of its products.
template <typename Element, int kHeadDim>
using FewRows =
    MmaShape<Element, kHeadDim, 1, 1, (kHeadDim <= 128 ? 4 : 3), (kHeadDim % 64 == 0 ? 4 : 1)>;

/// Many vectors: four warps with 32 each, so that a fragment of keys or values that is read from
/// shared memory serves two products; with 16 each where the sums fill the registers.
template <typename Element, int kHeadDim>
using ManyRows = MmaShape<Element, kHeadDim, 4, (kHeadDim <= 128 ? 2 : 1),
                          (kHeadDim <= 80   ? 4
                           : kHeadDim <= 96 ? 3
                                            : 2)>;

template <typename Element>
__global__ void __launch_bounds__(32 * kMergeWarps)
    attention_merge_16bit(const __grid_constant__ AttentionLaunch launch) {
    merge_runs(launch, [&](std::int64_t at, float first, float second) {
        static_cast<std::uint32_t*>(launch.call.out)[at / 2] = pack_pair(first, second, Element{});
    });
}

template <typename Element, int kHeadDim>
void attention_of(AttentionLaunch& launch, cudaStream_t stream) {
    if constexpr (kHeadDim >= 64) {
        // Up to two tiles of few rows read keys twice at most, and that from the L2 cache.
        if (std::int64_t{launch.call.max_rows} * launch.group > 32) {
            using Shape = ManyRows<Element, kHeadDim>;
            return launch_tiles<Shape>(attention_mma<Shape>, launch, "attention_many", stream);
        }
    }
    using Shape = FewRows<Element, kHeadDim>;
    launch_tiles<Shape>(attention_mma<Shape>, launch, "attention_few", stream);
}

template <typename Element>
void attention_16bit(AttentionLaunch& launch, cudaStream_t stream) {
    switch (launch.call.head_dim) {
        case 8:
            attention_of<Element, 8>(launch, stream);
            break;
        case 16:
            attention_of<Element, 16>(launch, stream);
            break;
        case 32:
            attention_of<Element, 32>(launch, stream);
            break;
        case 64:
            attention_of<Element, 64>(launch, stream);
            break;
        case 80:
            attention_of<Element, 80>(launch, stream);
            break;
        case 96:
            attention_of<Element, 96>(launch, stream);
            break;
        case 128:
            attention_of<Element, 128>(launch, stream);
            break;
        case 256:
            attention_of<Element, 256>(launch, stream);
            break;
        default:
            throw InternalError("attention: no kernel for this head size");
    }
    launch_merge(attention_merge_16bit<Element>, launch, stream);
}

}  // namespace muster::cuda
