#pragma once
// Errors of the CUDA runtime as exceptions.

#include <cuda_runtime.h>

namespace muster::cuda {

/// Throws SystemError "CUDA: <call>: <CUDA's own text>" unless `status` is success.
void check(cudaError_t status, const char* call);

}  // namespace muster::cuda
