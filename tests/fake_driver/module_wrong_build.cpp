// A module of another build of muster.

#include "cuda/module.h"

extern "C" const muster::cuda::ModuleTable* muster_cuda_module() {
    static const muster::cuda::ModuleTable table{"0.0.1 cafe GNU 4.7", nullptr, nullptr, nullptr,
                                                 nullptr};
    return &table;
}
