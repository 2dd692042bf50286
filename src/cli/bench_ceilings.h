#pragma once
// The ceilings of `bench`, added up over the ranks.

#include "cli/bench_report.h"
#include "muster/eval/topology.h"
#include "muster/mpi/communicator.h"

namespace muster {

/// Adds repeats of this moment to the ceilings of `result`, those of CPUs or of devices.
/// Collective.
void measure_ceilings(const Communicator& world, const Topology& topology, BenchResult& result);

}  // namespace muster
