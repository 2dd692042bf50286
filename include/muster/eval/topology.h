#pragma once
// Who runs where: the table that every run prints and stores.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "muster/backend/backend.h"
#include "muster/backend/device.h"
#include "muster/eval/devices.h"
#include "muster/model/model_config.h"
#include "muster/mpi/communicator.h"
#include "muster/mpi/host.h"
#include "muster/mpi/process_grid.h"

namespace muster {

/// One line of the table.
struct RankInfo {
    RankPlace place;
    std::string host, device;  ///< "cpu" or "cuda"
    int threads = 1;
    std::string cpus;  ///< "0-3,8": where its threads are pinned; "" if they are not
    Device bound;      ///< of "cuda"; of "cpu" ordinal −1 and nothing else
};
/// What stands in `device` and `bound` of world rank `rank`.
void set_device(RankInfo& info, const JobDevices& devices);

/// This job's layout with the communicators that follow from it. Made once, collectively.
struct Topology {
    ProcessGrid grid;
    std::vector<RankInfo> ranks;  ///< by world rank, the same on all ranks
    Communicator group;           ///< this rank's tensor-parallel group, ordered by tp rank
    std::optional<Communicator>
        leaders;           ///< tp rank 0 of every group, ordered by replica; elsewhere empty
    Communicator sharers;  ///< ranks of this node with the same tp rank: they hold the same weights
    int rank = 0;          ///< this one's, in the world
    int threads = 1;       ///< of this rank
    int local_size = 1;    ///< ranks on this node
    ThreadPlaces places;   ///< of this rank's threads
    JobDevices devices;
};

/// Splits `world` into replicas of `tensor_parallel` ranks. `threads` 0 shares the node's cores
/// among its ranks; without `pinning` the kernel may move them. Throws the same UserError on all
/// ranks if the sizes do not fit. Collective over `world`.
Topology make_topology(const Communicator& world, int tensor_parallel, bool across_nodes,
                       int threads, bool pinning, const JobDevices& devices);

/// What a backend is made with besides the topology.
struct BackendRequest {
    std::string instruction_set;                        ///< on the CPU; "": the fastest
    std::uint64_t device_bytes = 0;                     ///< on a device: all that it will take
    DeviceTransport transport = DeviceTransport::nccl;  ///< between devices
    bool tp_invariant = false;                          ///< on devices; see CudaOptions
    std::int64_t max_context = 0;                       ///< on devices; see CudaOptions
    double deadline_seconds = 300;                      ///< on devices; see CudaOptions
    bool record_steps = true;                           ///< on devices; see CudaOptions
};
/// This rank's backend, on its device or its node's CPUs, for a model of `config`; refers to
/// `topology`. Collective over its group and its sharers.
std::unique_ptr<Backend> make_backend(const Topology& topology, const ModelConfig& config,
                                      const BackendRequest& request);

/// Node index of every world rank, in order of each node's lowest rank. Collective over `world`.
std::vector<int> node_of_rank(const Communicator& world);

/// The table as text, one line per rank with a header.
std::string format_topology(const std::vector<RankInfo>& ranks);

}  // namespace muster
