#pragma once
// Starting the kernels of grouped products.

#include "cuda/grouped_kernels.h"
#include "cuda/tile_launch.cuh"

namespace muster::cuda {

template <typename T, typename Shape, bool kAsync>
void launch_grouped(const TileProduct& p, const AllExperts& weights, cudaStream_t stream) {
    if (p.gated)
        launch_tile_product<T, Shape, true, kAsync>("grouped product, gated", p, weights, stream);
    else
        launch_tile_product<T, Shape, false, kAsync>("grouped product", p, weights, stream);
}

/// For 16-bit types. Few rows are bound by the weights' way from memory: many stages on their way,
/// tiles of so few weights that all multiprocessors have some, and warps that only copy, so that
/// the others' chains of sums do not wait for it. Many rows are bound by the matrix instructions:
/// each warp's sums are as large a square as its registers hold.
template <typename T>
void grouped_product_16bit(const TileProduct& p, const AllExperts& weights, ExpertTiles tiles,
                           cudaStream_t stream) {
    using Few = TileShape<64, 16, 128, 8, 2, 1, 2, 2>;
    using Medium = TileShape<128, 64, 128, 4, 4, 1, 0, 2>;
    using Many = TileShape<128, 128, 128, 3, 2, 2, 0, 2>;
    if (!by_chunks(p)) return launch_grouped<T, Few, false>(p, weights, stream);
    switch (tiles) {
        case ExpertTiles::few:
            return launch_grouped<T, Few, true>(p, weights, stream);
        case ExpertTiles::medium:
            return launch_grouped<T, Medium, true>(p, weights, stream);
        case ExpertTiles::many:
            return launch_grouped<T, Many, true>(p, weights, stream);
    }
}

}  // namespace muster::cuda
