#pragma once
// The node and the cores that this process may use.

#include <string>
#include <vector>

#include "muster/mpi/communicator.h"

namespace muster {

/// This node's name as MPI_Get_processor_name or gethostname gives it.
std::string host_name();
/// Cores in the affinity mask that this process was started with.
int affinity_cores();
/// Threads for one of `local_size` ranks that may all use the same cores: an even share, at least 1.
int default_threads(int local_size);
/// Threads for this rank of `node` (from split_by_node): every core is shared evenly among the ranks whose affinity
/// mask has it, so ranks that the launcher bound to cores of their own use all of them. At least 1. Collective.
int default_threads(const Communicator& node);

/// Where the threads of this rank go.
struct ThreadPlaces {
    std::vector<int> cpus;  ///< thread i runs on cpus[i] only; empty: the kernel may move them
    bool crowded = false;   ///< the ranks of this node have more threads than cores
};
/// Places for the `threads` threads of every rank of `node`, see pin_threads(); without `pinning`
/// the kernel chooses them. All ranks of the node pass the same `pinning`. Collective.
ThreadPlaces thread_places(const Communicator& node, int threads, bool pinning);

/// The CPUs that the calling thread may run on, ascending.
std::vector<int> thread_cpus();
/// Lets the calling thread run on `cpus` only; if the kernel refuses, nothing changes.
void set_thread_cpus(const std::vector<int>& cpus);
/// Lets the calling thread run wherever the process was allowed to at its start, though it was
/// started by a pinned one.
void unpin_thread();

}  // namespace muster
