#pragma once
// --tp auto: the smallest tensor-parallel degree at which the model fits; the other ranks become
// replicas, which need not talk to each other.

#include <cstdint>
#include <string>
#include <vector>

#include "muster/eval/device_memory.h"
#include "muster/eval/devices.h"
#include "muster/eval/run_config.h"
#include "muster/model/model_config.h"

namespace muster {

/// One line of the table: a degree, what it takes and what there is, in bytes.
struct DegreeOption {
    int tp = 1;
    MemoryPlan plan;              ///< of one rank, with the smallest KV cache that is any use
    std::uint64_t needed = 0;     ///< of a device, or on CPUs of a node
    std::uint64_t available = 0;  ///< least of any device or node
    std::string problem;          ///< why it cannot be taken; "" if it can
};

struct JobShape {
    std::vector<int> nodes;          ///< node index of every world rank
    std::vector<std::string> hosts;  ///< by world rank
    std::uint64_t node_memory = 0;   ///< least available memory of a node
    int threads = 1;                 ///< per rank
};

/// The legal degrees of the model, ascending. `kv_memory` and `kv_tokens` of the run count if they
/// ask for more than max(the longest request, two steps).
std::vector<DegreeOption> degree_options(const RunConfig& run, const ModelConfig& config,
                                         const DeviceNeeds& needs, const JobDevices& devices,
                                         const JobShape& job);
/// The first that can be taken. Throws UserError with the table if there is none.
int choose_degree(const std::vector<DegreeOption>& options);
std::string format_degrees(const std::vector<DegreeOption>& options);

}  // namespace muster
