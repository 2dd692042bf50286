#pragma once
// The kernels of grouped products, of one element type each.

#include "cuda/grouped_product.h"

namespace muster::cuda {

using AllExperts = ExpertWeights<kMaxExperts>;

void grouped_product_f32(const TileProduct& p, const AllExperts& weights, ExpertTiles tiles,
                         cudaStream_t stream);
void grouped_product_f16(const TileProduct& p, const AllExperts& weights, ExpertTiles tiles,
                         cudaStream_t stream);
void grouped_product_bf16(const TileProduct& p, const AllExperts& weights, ExpertTiles tiles,
                          cudaStream_t stream);

}  // namespace muster::cuda
