#pragma once
// The node and the cores that this process may use.

#include <string>

#include "muster/mpi/communicator.h"

namespace muster {

/// This node's name as MPI_Get_processor_name or gethostname gives it.
std::string host_name();
/// Cores in this process's affinity mask.
int affinity_cores();
/// Threads for one of `local_size` ranks that may all use the same cores: an even share, at least 1.
int default_threads(int local_size);
/// Threads for this rank of `node` (from split_by_node): every core is shared evenly among the ranks whose affinity
/// mask has it, so ranks that the launcher bound to cores of their own use all of them. At least 1. Collective.
int default_threads(const Communicator& node);

}  // namespace muster
