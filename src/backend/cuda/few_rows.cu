#include "cuda/few_rows.h"

#include "cuda/grouped_product.h"
#include "cuda/tile_launch.cuh"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

/// Two warps multiply, one next to the other along the weights, and two only copy; 48 KiB and more
/// of weights are on their way per block, and two blocks share a multiprocessor.
template <typename T, int kWeights, int kTokens, int kStages>
void run(const TileProduct& p, const void* w, cudaStream_t stream) {
    using Shape = TileShape<kWeights, kTokens, 256, kStages, 2, 1, 2, 2>;
    static_assert(2 * (Shape::kSharedBytes + 1024) <= 227 * 1024);
    launch_tile_product<T, Shape, false, true>("product of few rows", p, ExpertWeights<1>{{w}},
                                               stream);
}

template <typename T>
void run_for_rows(const TileProduct& p, const void* w, FewRowsTiles tiles, cudaStream_t stream) {
    const bool narrow = tiles == FewRowsTiles::narrow;
    if (p.positions <= 8)
        return narrow ? run<T, 32, 8, 9>(p, w, stream) : run<T, 64, 8, 6>(p, w, stream);
    if (p.positions <= 16)
        return narrow ? run<T, 32, 16, 8>(p, w, stream) : run<T, 64, 16, 5>(p, w, stream);
    narrow ? run<T, 32, 32, 6>(p, w, stream) : run<T, 64, 32, 4>(p, w, stream);
}

}  // namespace

bool few_rows_supports(const Product& p) {
    return p.type != DType::f32 && p.y_type == DType::f32 && p.k > 0 &&
           by_chunks(tile_product(p)) && reinterpret_cast<std::uintptr_t>(p.w) % 16 == 0;
}

void multiply_few_rows(const Product& p, FewRowsTiles tiles, cudaStream_t stream) {
    if (p.m > kMostFewRows || !few_rows_supports(p))
        throw InternalError(cat("product of few rows: ", p.m, " rows, k ", p.k, ", strides ",
                                p.x_stride, " and ", p.w_stride));
    if (p.m == 0 || p.n == 0) return;
    const TileProduct t = tile_product(p);
    if (p.type == DType::f16) return run_for_rows<__half>(t, p.w, tiles, stream);
    run_for_rows<__nv_bfloat16>(t, p.w, tiles, stream);
}

}  // namespace muster::cuda
