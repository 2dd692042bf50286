// The door of libmuster_cuda.so.

#include "cuda/module.h"

#include <string>

#include "cuda/ceilings.h"
#include "cuda/cuda_backend.h"
#include "muster/base/build_info.h"
#include "muster/base/log.h"

extern "C" __attribute__((visibility("default"))) const muster::cuda::ModuleTable*
muster_cuda_module() {
    using namespace muster;
    static const std::string build = build_id();
    static const cuda::ModuleTable table{.build = build.c_str(),
                                         .configure_log = &configure_log,
                                         .nccl_problem = &cuda::why_no_nccl,
                                         .make_backend = &cuda::make_backend,
                                         .measure_ceilings = &cuda::measure_ceilings};
    return &table;
}
