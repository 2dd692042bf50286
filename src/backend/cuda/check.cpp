#include "cuda/check.h"

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

void check(cudaError_t status, const char* call) {
    if (status == cudaSuccess) return;
    (void)cudaGetLastError();  // so that the next call is not blamed for this one
    throw SystemError(
        cat("CUDA: ", call, ": ", cudaGetErrorString(status), " (", cudaGetErrorName(status), ")",
            status == cudaErrorMemoryAllocation
                ? "; a smaller --gpu-memory-fraction leaves the driver and its libraries more"
                : ""));
}

}  // namespace muster::cuda
