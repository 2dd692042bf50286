// Stands in for nccl_copies.cpp where NCCL was not found when this was built.

#include "cuda/group_copies.h"
#include "muster/base/error.h"

namespace muster::cuda {

std::unique_ptr<GroupCopies> make_nccl_copies(const Communicator& /*group*/,
                                              double /*deadline_seconds*/) {
    throw UserError(
        "this build has no NCCL, by which devices of a tensor-parallel group reach each other; "
        "expected --tp 1 or --device-transport staged, or a build where CMake finds nccl.h");
}

}  // namespace muster::cuda
