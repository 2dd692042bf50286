#include "muster/backend/cuda.h"

namespace muster {

const std::vector<double>& CudaCeilings::usable_flops(DType dtype) const {
    return dtype == DType::bf16 ? bf16_flops : dtype == DType::f16 ? f16_flops : f32_flops;
}

}  // namespace muster
