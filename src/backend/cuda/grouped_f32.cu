#include "cuda/grouped_launch.cuh"

namespace muster::cuda {

void grouped_product_f32(const TileProduct& p, const AllExperts& weights, ExpertTiles tiles,
                         cudaStream_t stream) {
    using Few = TileShape<64, 16, 128, 4, 4, 2, 0, 2>;
    using Many = TileShape<64, 64, 128, 3, 4, 2, 0, 2>;
    if (!by_chunks(p)) return launch_grouped<float, Few, false>(p, weights, stream);
    if (tiles == ExpertTiles::few) return launch_grouped<float, Few, true>(p, weights, stream);
    launch_grouped<float, Many, true>(p, weights, stream);
}

}  // namespace muster::cuda
