#pragma once
// What the ranks of a job compute on: the devices that their drivers show, bound node by node.

#include <cstdint>
#include <string>
#include <vector>

#include "muster/backend/cuda.h"
#include "muster/backend/device.h"
#include "muster/mpi/communicator.h"
#include "muster/mpi/process_grid.h"

namespace muster {

/// What one rank finds on its node.
struct RankReport {
    std::string host;
    std::string problem;  ///< why it can use no device; "" if it can
    std::string nccl;     ///< why it cannot have NCCL; "" if it can, or nobody asked
    std::vector<Device> visible;
};

/// The same on all ranks.
struct JobDevices {
    std::vector<Device> bound;  ///< by world rank; empty: the job computes on CPUs
    std::string why;            ///< of CPUs though devices would have been taken; else ""
    bool left_alone = false;    ///< CPUs although some rank sees a device
    std::vector<std::string> warnings;
    std::string nccl_problem;  ///< why some rank cannot have NCCL; "" if all can

    std::vector<int> sharers;  ///< by world rank: ranks that have its device, itself included

    bool cuda() const { return !bound.empty(); }
    /// Bytes that this rank may take of what is free on its device: `fraction` of it, shared
    /// evenly; less where a rank of `tp` has a device of its own and NCCL needs more than the rest.
    std::uint64_t room(int rank, double fraction, int tp) const;
    /// The least room in a tensor-parallel group, since its ranks take equal parts.
    std::uint64_t group_room(const ProcessGrid& grid, int replica, double fraction) const;
    /// The least of all ranks.
    std::uint64_t least_room(double fraction, int tp) const;
};

/// `asked` is cpu, cuda or auto: devices if every rank can have one, else CPUs. `nodes` and
/// `reports` by world rank. Throws UserError if cuda is asked for and cannot be had.
JobDevices bind_job(const std::vector<int>& nodes, const std::vector<RankReport>& reports,
                    const std::string& asked, bool allow_sharing);
/// The same for the ranks of `world`, which look at their drivers and, if they `may_group`
/// themselves, for NCCL. Collective.
JobDevices choose_devices(const Communicator& world, const std::string& asked, bool allow_sharing,
                          bool may_group);
/// One device of `bytes` free memory for each of `ranks` ranks, to plan for.
JobDevices planned_devices(int ranks, std::uint64_t bytes);

/// Groups whose devices differ in free memory by more than a twentieth: the least counts for all.
std::vector<std::string> uneven_groups(const JobDevices& devices, const ProcessGrid& grid);

/// `asked` is auto, nccl or staged. Auto: NCCL, unless two ranks of one group share a GPU (which
/// includes instances of one), where it cannot work, or some rank cannot have it. Throws UserError
/// if NCCL is asked for and a rank cannot have it.
DeviceTransport choose_transport(const JobDevices& devices, const ProcessGrid& grid,
                                 const std::string& asked);
/// What to warn of where devices that could exchange by NCCL have to do without it; else "".
std::string transport_warning(const JobDevices& devices, const ProcessGrid& grid,
                              const std::string& asked);
/// "nccl" or "staged".
std::string name_of(DeviceTransport transport);

}  // namespace muster
