#pragma once
// Starting tile_product_kernel.

#include <algorithm>

#include "cuda/launch.cuh"
#include "cuda/tile_product.cuh"

namespace muster::cuda {

/// Whether rows of x and of the weights begin at multiples of 16 bytes and k ends at one.
inline bool by_chunks(const TileProduct& p) {
    const auto per_chunk = static_cast<std::int64_t>(16 / size_of(p.type));
    return p.k % per_chunk == 0 && p.x_stride % per_chunk == 0 && p.w_stride % per_chunk == 0 &&
           reinterpret_cast<std::uintptr_t>(p.x) % 16 == 0;
}

/// As many blocks as share the device at once, or fewer if there are not so many tiles.
template <typename T, typename Shape, bool kGated, bool kAsync, int kCount>
void launch_tile_product(const char* name, const TileProduct& p,
                         const ExpertWeights<kCount>& weights, cudaStream_t stream) {
    constexpr int kTableBytes = (sizeof(TileTable<kCount>) + 127) / 128 * 128;
    static_assert(kTableBytes + Shape::kSharedBytes <= kSharedLimit);
    constexpr auto kernel = tile_product_kernel<T, Shape, kGated, kAsync, kCount>;
    static const bool once = (opt_in(kernel, Shape::kSharedBytes, name), true);
    (void)once;
    constexpr std::int64_t kColumns = kGated ? Shape::kWeights / 2 : Shape::kWeights;
    // Every expert may have one run of positions that is not full.
    const std::int64_t runs =
        std::min<std::int64_t>(p.experts, p.positions) + p.positions / Shape::kTokens;
    const std::int64_t tiles = runs * ((p.n + kColumns - 1) / kColumns) * p.shards;
    const std::int64_t blocks =
        std::min<std::int64_t>(tiles, std::int64_t{processors()} * Shape::kBlocks);
    launch(name, kernel, dim3(static_cast<unsigned>(blocks)), Shape::kThreads, Shape::kSharedBytes,
           stream, p, weights);
}

}  // namespace muster::cuda
