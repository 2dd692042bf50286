#pragma once
// The node and the cores that this process may use.

#include <string>

namespace muster {

/// This node's name as MPI_Get_processor_name or gethostname gives it.
std::string host_name();
/// Cores in this process's affinity mask.
int affinity_cores();
/// Threads for one rank: the node's usable cores shared evenly among its `local_size` ranks, at least 1 and
/// never more than the affinity mask allows. If the launcher bound ranks to disjoint masks, the mask itself.
int default_threads(int local_size);

}  // namespace muster
