// A module of this very build whose backend cannot be made: what is decided before that can be
// tried where there is no device.

#include <cstdlib>

#include "cuda/module.h"
#include "muster/backend/backend.h"
#include "muster/base/build_info.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace {

std::unique_ptr<muster::Backend> make_backend(const muster::CudaOptions& options,
                                              const muster::Communicator&) {
    throw muster::SystemError(muster::cat(
        "no backend in this module: ordinal ", options.ordinal, ", ", options.memory_bytes,
        " bytes, ", options.transport == muster::DeviceTransport::nccl ? "nccl" : "staged"));
}

std::string nccl_problem() {
    const char* problem = std::getenv("MUSTER_FAKE_NCCL_PROBLEM");
    return problem != nullptr ? problem : "";
}

muster::CudaCeilings measure_ceilings(int, int) {
    throw muster::SystemError("no ceilings in this module");
}

}  // namespace

extern "C" const muster::cuda::ModuleTable* muster_cuda_module() {
    static const std::string build = muster::build_id();
    static const muster::cuda::ModuleTable table{build.c_str(), muster::configure_log, nccl_problem,
                                                 make_backend, measure_ceilings};
    return &table;
}
