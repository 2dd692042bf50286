// Stands in for nccl_copies.cpp and nccl_library.cpp where nccl.h was not found when this was
// built.

#include "cuda/group_copies.h"
#include "muster/base/error.h"

namespace muster::cuda {

std::string why_no_nccl() {
    return "this build has no NCCL, by which devices of a tensor-parallel group reach each other; "
           "expected --tp 1 or --device-transport staged, or a build where CMake finds nccl.h";
}

std::unique_ptr<GroupCopies> make_nccl_copies(const Communicator& /*group*/,
                                              double /*deadline_seconds*/) {
    throw UserError(why_no_nccl());
}

}  // namespace muster::cuda
