#pragma once
// What `bench` found, as text and as JSON. All rates are of the whole job.

#include <cstdint>
#include <string>
#include <vector>

#include "cli/bench_options.h"
#include "cli/bench_phases.h"
#include "muster/backend/ceilings.h"
#include "muster/backend/cuda.h"
#include "muster/backend/profile.h"
#include "muster/config/value.h"
#include "muster/eval/topology.h"
#include "muster/model/model_config.h"

namespace muster {

/// One phase at one batch with the runs of every replica.
struct PhaseResult {
    std::string name, work;
    std::int64_t batch = 1;
    std::vector<std::vector<PhaseRun>> runs;  ///< [run][replica]
    Profile profile;                          ///< of rank 0, all runs; empty without --profile
};

struct BenchResult {
    BenchConfig bench;
    ModelConfig model;
    std::string backend;
    std::vector<RankInfo> ranks;
    /// Summed over the ranks, before and after the phases; one of the two is measured. Ranks that
    /// share a device count it once.
    CpuCeilings ceilings;
    CudaCeilings device_ceilings;
    bool cuda = false;
    double load_seconds = 0, engine_seconds = 0, first_step_seconds = 0;
    MemoryPlan plan;                ///< of one rank
    std::uint64_t peak_memory = 0;  ///< of the host, by the rank that took most; 0: not known
    /// Taken from the device that gave most; 0: of CPUs, or where the driver does not tell.
    std::uint64_t device_memory = 0;
    std::uint64_t model_bytes = 0;  ///< weights that a rank holds in memory of its own
    std::int64_t kv_tokens = 0;
    std::vector<PhaseResult> phases;
};

/// What a forward pass is held to: products per second in the model's type, and bytes per second
/// (of a device as a copy moves them).
double limit_of_products(const BenchResult& result);
double limit_of_bytes(const BenchResult& result);

/// Rates of one phase, one value per run.
struct PhaseRates {
    std::vector<double> tokens, computed, flops, bytes;  ///< per second
    std::vector<double> of_limit;  ///< least time by the ceilings ÷ time taken
    bool by_compute = true;        ///< which ceiling sets the least time
};
PhaseRates rates_of(const BenchResult& result, const PhaseResult& phase);

std::string format_bench(const BenchResult& result);
Value bench_json(const BenchResult& result);

}  // namespace muster
