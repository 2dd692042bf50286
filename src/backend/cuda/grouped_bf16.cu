#include "cuda/grouped_launch.cuh"

namespace muster::cuda {

void grouped_product_bf16(const TileProduct& p, const AllExperts& weights, ExpertTiles tiles,
                          cudaStream_t stream) {
    grouped_product_16bit<__nv_bfloat16>(p, weights, tiles, stream);
}

}  // namespace muster::cuda
