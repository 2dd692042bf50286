#pragma once
// Products of rows with the weights of the expert that each belongs to.

#include <cuda_runtime.h>

#include <span>

#include "cuda/multiplier.h"
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

/// A dense product as one of tiles, but for its weights.
TileProduct tile_product(const Product& product);
/// Enqueues a dense product of any number of rows with f32 results, whose sums are those of
/// multiply_few_rows. Throws SystemError if the weights do not begin at a multiple of 16 bytes.
void multiply_by_tiles(const Product& product, cudaStream_t stream);

}  // namespace muster::cuda
