#include "cuda/attention_fma.cuh"
#include "cuda/attention_launch.cuh"

namespace muster::cuda {
namespace {

__global__ void __launch_bounds__(32 * kMergeWarps)
    attention_merge_f32(const __grid_constant__ AttentionLaunch launch) {
    merge_runs(launch, [&](std::int64_t at, float first, float second) {
        *reinterpret_cast<float2*>(static_cast<float*>(launch.call.out) + at) =
            make_float2(first, second);
    });
}

template <int kHeadDim>
void attention_of(AttentionLaunch& launch, cudaStream_t stream) {
    using Shape = FmaShape<kHeadDim>;
    launch_tiles<Shape>(attention_fma<Shape>, launch, "attention_fma", stream);
}

}  // namespace

void attention_f32(AttentionLaunch& launch, cudaStream_t stream) {
    switch (launch.call.head_dim) {
        case 8:
            attention_of<8>(launch, stream);
            break;
        case 16:
            attention_of<16>(launch, stream);
            break;
        case 32:
            attention_of<32>(launch, stream);
            break;
        case 64:
            attention_of<64>(launch, stream);
            break;
        case 80:
            attention_of<80>(launch, stream);
            break;
        case 96:
            attention_of<96>(launch, stream);
            break;
        case 128:
            attention_of<128>(launch, stream);
            break;
        case 256:
            attention_of<256>(launch, stream);
            break;
        default:
            throw InternalError("attention: no kernel for this head size");
    }
    launch_merge(attention_merge_f32, launch, stream);
}

}  // namespace muster::cuda
