#pragma once
// Products of rows with the weights of the expert that each belongs to.

#include <cuda_runtime.h>

#include <span>

#include "cuda/tile_product.h"

namespace muster::cuda {

/// Shapes of tiles; none shows in a bit of the result.
enum class ExpertTiles { few, medium, many };

/// The one that is fastest if rows are spread evenly over the experts.
ExpertTiles expert_tiles(std::int64_t positions, int experts);

/// Enqueues the product with `weights` [experts], row-major matrices of p.type that begin at
/// multiples of 16 bytes. Products whose rows do not begin or end at such are slower.
void grouped_product(const TileProduct& p, std::span<const void* const> weights, ExpertTiles tiles,
                     cudaStream_t stream);

}  // namespace muster::cuda
