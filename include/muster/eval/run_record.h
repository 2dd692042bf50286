#pragma once
// /run in the result file: configuration, machine, versions, hashes, timings. Everything that may
// differ between two runs with the same scores is here and nowhere else.

#include <cstdint>
#include <string>
#include <vector>

#include "muster/engine/engine.h"
#include "muster/eval/run_config.h"
#include "muster/eval/topology.h"
#include "muster/eval/work_plan.h"
#include "muster/model/model_config.h"
#include "muster/results/result_file.h"

namespace muster {

struct HashedFile {
    std::string name;
    std::uint64_t bytes = 0;
    std::string sha256;
};

/// What one rank did.
struct RankWork {
    std::uint64_t chunks = 0;
    EngineCounters counters;
    std::uint64_t peak_bytes = 0;  ///< largest resident set
};
std::string pack_rank_work(const RankWork& work);
RankWork unpack_rank_work(const std::string& bytes);

/// What all replicas of the model did together.
struct Throughput {
    struct Phase {
        std::uint64_t tokens = 0;
        double seconds = 0;  ///< mean over replicas
        double rate() const { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }
    };
    std::uint64_t tokens_asked = 0, tokens_computed = 0;
    Phase prefill, decode;
    /// How many tokens each computed one stands for.
    double reuse_factor() const;
};
/// `work` and `ranks` by rank in the world.
Throughput throughput_of(const std::vector<RankWork>& work, const std::vector<RankInfo>& ranks);

/// Seconds of each phase on rank 0.
struct PhaseTimes {
    double plan = 0, load = 0, inference = 0, gather = 0, score = 0, total = 0;
};

struct RunRecord {
    const RunConfig& run;
    const std::string& command_line;
    const Topology& topology;
    const ModelConfig& config;
    std::int64_t max_length = 0, kv_tokens = 0;
    std::string backend;
    std::vector<HashedFile> checkpoint_files;
    const std::vector<PlannedTask>& tasks;
    const std::vector<RankWork>& work;
    const PhaseTimes& times;
    MemoryPlan memory;      ///< of one rank
    std::string transport;  ///< between devices: nccl or staged; "" where there is none
};

void write_run_record(ResultWriter& file, const RunRecord& record);

}  // namespace muster
