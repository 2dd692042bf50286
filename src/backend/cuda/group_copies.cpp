#include "cuda/group_copies.h"

#include "cuda/group_probe.h"
#include "muster/base/log.h"
#include "muster/base/text.h"
#include "muster/mpi/communicator.h"

namespace muster::cuda {

std::unique_ptr<GroupCopies> make_group_copies(DeviceTransport transport, const Communicator& group,
                                               double deadline_seconds) {
    if (group.size() == 1) return nullptr;
    auto copies = transport == DeviceTransport::nccl ? make_nccl_copies(group, deadline_seconds)
                                                     : make_staged_copies(group, deadline_seconds);
    const GroupSpeed speed = probe_group(*copies, group, transport, deadline_seconds);
    if (!group.is_root()) return copies;
    info(cat("tensor-parallel group of ", group.size(), ", ", copies->description(), ": ",
             format_speed(speed)));
    if (const std::string hint = slow_group_hint(speed, transport); !hint.empty()) warn(hint);
    return copies;
}

}  // namespace muster::cuda
