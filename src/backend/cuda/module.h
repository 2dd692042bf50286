#pragma once
// What libmuster_cuda.so gives to the program: one function that returns this table. Both are built
// from the same sources; `build` says so, and another build is refused.

#include <memory>
#include <string>

#include "muster/backend/cuda.h"
#include "muster/base/log.h"

namespace muster::cuda {

struct ModuleTable {
    const char* build;  ///< build_id() of the sources that it was built from
    /// muster/base/log.h's, of the module's own copy of that room.
    void (*configure_log)(Verbosity verbosity, std::string prefix, bool speaks);
    /// Mirrors of the functions of muster/backend/cuda.h. They throw across the border.
    std::string (*nccl_problem)();
    std::unique_ptr<Backend> (*make_backend)(const CudaOptions& options, const Communicator& group);
    CudaCeilings (*measure_ceilings)(int ordinal, int repeats);
};

/// The name of the module's only exported function, which returns `const ModuleTable*`.
inline constexpr const char* kModuleEntry = "muster_cuda_module";

}  // namespace muster::cuda
