#include "cuda/few_rows.h"

#include "cuda/grouped_product.h"
#include "cuda/tile_launch.cuh"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

/// Two warps multiply, one next to the other along the weights, and two only copy; two blocks share
/// a multiprocessor, and have up to 80 KiB of weights on their way each.
template <typename T, int kWeights, int kTokens, int kStages>
void run(const TileProduct& p, const void* w, cudaStream_t stream) {
    using Shape = TileShape<kWeights, kTokens, 256, kStages, 2, 1, 2, 2>;
    static_assert(2 * (Shape::kSharedBytes + 1024) <= 227 * 1024);
    launch_tile_product<T, Shape, false, true>("product of few rows", p, ExpertWeights<1>{{w}},
                                               stream);
}

template <typename T>
void run_for_rows(const TileProduct& p, const void* w, FewRowsTiles tiles, cudaStream_t stream) {
    const auto take = [&]<int kTokens, int kNarrowStages, int kWideStages>() {
        if (tiles == FewRowsTiles::narrow)
            run<T, 32, kTokens, kNarrowStages>(p, w, stream);
        else
            run<T, 64, kTokens, kWideStages>(p, w, stream);
    };
    if (p.positions <= 8)
        take.template operator()<8, 9, 6>();
    else if (p.positions <= 16)
        take.template operator()<16, 8, 5>();
    else if (p.positions <= 32)
        take.template operator()<32, 6, 4>();
    else
        take.template operator()<64, 4, 3>();
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
