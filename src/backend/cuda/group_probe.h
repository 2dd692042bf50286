#pragma once
// The copies of a tensor-parallel group, tried before anybody relies on them: whether the bytes
// arrive, and how fast.

#include <cstddef>
#include <string>

#include "cuda/group_copies.h"

namespace muster::cuda {

/// The best of some all-gathers, as the slowest rank sees it.
struct GroupSpeed {
    int ranks = 1;
    bool one_node = true;
    double small_seconds = 0;     ///< of one with 1 MiB per rank: a step of few rows
    std::size_t large_bytes = 0;  ///< per rank, enough to show the bandwidth
    double large_seconds = 0;
    /// What one rank receives of the large one, per second.
    double bandwidth() const;
};

/// Collective over the group. Throws SystemError on all of its ranks if bytes arrive changed.
GroupSpeed probe_group(GroupCopies& copies, const Communicator& group, DeviceTransport transport,
                       double deadline_seconds);

/// "1.0 MiB of every rank in 41 µs, 176.7 GB/s".
std::string format_speed(const GroupSpeed& speed);
/// What to do about devices of one node that reach each other slowly; "" if they do not.
std::string slow_group_hint(const GroupSpeed& speed, DeviceTransport transport);

}  // namespace muster::cuda
