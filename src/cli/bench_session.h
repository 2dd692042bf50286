#pragma once
// One benchmark from set-up to numbers.

#include "cli/bench_report.h"
#include "muster/mpi/communicator.h"

namespace muster {

/// Logs its progress. The result is whole on rank 0. Throws on all ranks if the set-up fails
/// anywhere; what fails later fails on one rank alone. Collective.
BenchResult run_bench(const Communicator& world, const BenchConfig& config);

}  // namespace muster
