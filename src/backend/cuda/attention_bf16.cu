#include "cuda/attention_16bit.cuh"

namespace muster::cuda {

void attention_bf16(AttentionLaunch& launch, cudaStream_t stream) {
    attention_16bit<__nv_bfloat16>(launch, stream);
}

}  // namespace muster::cuda
