#pragma once
// Device memory between the ranks of a tensor-parallel group: copies, in stream order, never sums.
// Every rank makes the same calls in the same order.

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <string>

#include "muster/backend/cuda.h"

namespace muster::cuda {

class GroupCopies {
 public:
    virtual ~GroupCopies() = default;
    /// "NCCL 2.28.9" or "MPI through host memory".
    virtual std::string description() const = 0;
    /// "rank 1 of 4 of its tensor-parallel group", for messages.
    virtual std::string member() const = 0;
    /// `in` [bytes] of every rank, in rank order, into `out` [size · bytes] of every rank. May be
    /// in place: `in` = `out` + rank · bytes.
    virtual void all_gather(const void* in, void* out, std::size_t bytes, cudaStream_t stream) = 0;
    /// Part j of `in` [size · bytes] into part (my rank) of `out` [size · bytes] of rank j.
    virtual void all_to_all(const void* in, void* out, std::size_t bytes, cudaStream_t stream) = 0;
    /// Whether the calls may be recorded into a graph. The graph must then end before this does.
    virtual bool recordable() const = 0;
    /// Throws SystemError if a peer has failed. Whoever waits for the stream (wait.h) calls this
    /// meanwhile.
    virtual void check() = 0;
};

/// Null for a group of one. Copies are tried before anybody relies on them, and their speed is
/// logged. The device must be set. Collective over the group; throws SystemError on all of its
/// ranks, after `deadline_seconds` at the latest. `deadline_seconds` is also the longest that a
/// copy may wait for its peers.
std::unique_ptr<GroupCopies> make_group_copies(DeviceTransport transport, const Communicator& group,
                                               double deadline_seconds);

/// "", or why this process cannot have NCCL. Loads it.
std::string why_no_nccl();

std::unique_ptr<GroupCopies> make_nccl_copies(const Communicator& group, double deadline_seconds);
std::unique_ptr<GroupCopies> make_staged_copies(const Communicator& group, double deadline_seconds);

}  // namespace muster::cuda
