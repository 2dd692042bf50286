#include "cuda/attention_16bit.cuh"

namespace muster::cuda {

void attention_f16(AttentionLaunch& launch, cudaStream_t stream) {
    attention_16bit<__half>(launch, stream);
}

}  // namespace muster::cuda
