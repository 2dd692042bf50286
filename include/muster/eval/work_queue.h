#pragma once
// Handing out chunks: rank 0 serves the leaders of all groups with ordinary messages, one chunk
// ahead, so that nobody waits; a leader broadcasts its chunk inside its group. Rank 0 serves
// between the steps of its own work.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "muster/base/progress.h"
#include "muster/engine/engine.h"
#include "muster/eval/topology.h"
#include "muster/eval/work_plan.h"

namespace muster {

/// What one group did, for /run/timing.
struct GroupWork {
    std::uint64_t chunks = 0;
    EngineCounters counters;
};

/// Runs all chunks of `plan` (rank 0's; nullptr elsewhere) on all groups. Returns this group's
/// completions on its leader, nothing elsewhere. Collective over the world.
std::vector<Completion> run_work(const Topology& topology, const WorkPlan* plan, Engine& engine,
                                 std::uint64_t min_chunk_cost, GroupWork& work);

/// Completions of all leaders at rank 0 by global id. Throws InternalError naming a missing,
/// doubled or unknown id. Collective over the leaders.
std::vector<Completion> gather_completions(const Communicator& leaders,
                                           const std::vector<Completion>& mine,
                                           std::size_t expected);

}  // namespace muster
