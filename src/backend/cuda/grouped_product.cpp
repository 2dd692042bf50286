#include "cuda/grouped_product.h"

#include <algorithm>

#include "cuda/check.h"
#include "cuda/grouped_kernels.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

int processors() {
    static const int count = [] {
        int device = 0, found = 0;
        check(cudaGetDevice(&device), "cudaGetDevice");
        check(cudaDeviceGetAttribute(&found, cudaDevAttrMultiProcessorCount, device),
              "cudaDeviceGetAttribute");
        return found;
    }();
    return count;
}

ExpertTiles expert_tiles(std::int64_t positions, int experts) {
    const std::int64_t each = (positions + experts - 1) / experts;
    return each <= 16 ? ExpertTiles::few : each <= 96 ? ExpertTiles::medium : ExpertTiles::many;
}

void grouped_product(const TileProduct& p, std::span<const void* const> weights, ExpertTiles tiles,
                     cudaStream_t stream) {
    if (weights.size() != static_cast<std::size_t>(p.experts) || p.experts < 1 ||
        p.experts > kMaxExperts || p.k < 1 || (p.offsets == nullptr && p.experts != 1) ||
        (p.gated && (p.shards != 1 || p.accumulate))) {
        throw InternalError(cat("grouped product: ", weights.size(), " matrices of ", p.experts,
                                " experts (at most ", kMaxExperts, "), k ", p.k, ", shards ",
                                p.shards));
    }
    if (p.positions == 0 || p.n == 0) return;
    AllExperts all{};
    std::copy(weights.begin(), weights.end(), all.at);
    if (p.type == DType::f32) return grouped_product_f32(p, all, tiles, stream);
    if (p.type == DType::f16) return grouped_product_f16(p, all, tiles, stream);
    grouped_product_bf16(p, all, tiles, stream);
}

TileProduct tile_product(const Product& p) {
    TileProduct t;
    t.type = p.type;
    t.accumulate = p.accumulate;
    t.positions = p.m;
    t.n = p.n;
    t.k = p.k;
    t.x = p.x;
    t.x_stride = p.x_stride;
    t.w_stride = p.w_stride;
    t.out = p.y;
    t.out_stride = p.y_stride;
    t.shards = p.shards;
    t.out_shard = p.y_shard;
    return t;
}

void multiply_by_tiles(const Product& p, cudaStream_t stream) {
    if (p.y_type != DType::f32 || reinterpret_cast<std::uintptr_t>(p.w) % 16 != 0)
        throw SystemError("product by tiles: weights or results that it is not made for");
    const void* const weights[] = {p.w};
    grouped_product(tile_product(p), weights, expert_tiles(p.m, 1), stream);
}

}  // namespace muster::cuda
