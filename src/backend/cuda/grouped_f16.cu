#include "cuda/grouped_launch.cuh"

namespace muster::cuda {

void grouped_product_f16(const TileProduct& p, const AllExperts& weights, ExpertTiles tiles,
                         cudaStream_t stream) {
    grouped_product_16bit<__half>(p, weights, tiles, stream);
}

}  // namespace muster::cuda
