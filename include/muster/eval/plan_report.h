#pragma once
// `muster plan`: everything that a run would do up to, but not including, inference.

#include <string>
#include <vector>

#include "muster/eval/devices.h"
#include "muster/eval/run_config.h"

namespace muster {

/// The job that is planned, by world rank.
struct PlannedJob {
    std::vector<int> nodes;  ///< node indices
    std::vector<std::string> hosts;
    JobDevices devices;
};

/// Layout, model, memory per rank, and per task documents, requests, tokens and operations, as
/// text. Reads the model's small files and the datasets, not the weights. Throws UserError.
std::string format_plan(RunConfig run, const PlannedJob& job);

}  // namespace muster
