#pragma once
// `muster plan`: everything that a run would do up to, but not including, inference.

#include <string>
#include <vector>

#include "muster/eval/run_config.h"

namespace muster {

/// Layout, model, memory per rank, and per task documents, requests, tokens and operations, as
/// text. `nodes`: node index of every rank of the job that is planned. Reads the model's small
/// files and the datasets, not the weights. Throws UserError.
std::string format_plan(const RunConfig& run, const std::vector<int>& nodes,
                        const std::vector<std::string>& hosts);

}  // namespace muster
