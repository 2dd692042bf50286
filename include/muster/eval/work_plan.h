#pragma once
// All work of a run before it starts, made on rank 0 alone: samples, token requests with their
// global ids, and what they cost. Nothing in here depends on the number of ranks.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "muster/engine/request.h"
#include "muster/eval/run_config.h"
#include "muster/eval/setup.h"
#include "muster/metric/metric.h"
#include "muster/task/sample.h"
#include "muster/task/task_spec.h"

namespace muster {

/// One task of the run with its samples.
struct PlannedTask {
    TaskSpec spec;
    std::vector<Sample> samples;
    std::vector<std::string> data_files;
    std::string data_hash;
    /// Status that the requests of each sample already have before inference (truncated, too long,
    /// …).
    std::vector<SampleStatus> status;
    std::size_t num_truncated = 0, num_too_long = 0, num_bad = 0;
    std::uint64_t asked_tokens = 0;  ///< input tokens of all requests as if each ran alone
    std::uint64_t input_tokens = 0;  ///< of these, those not shared with the request before
    std::uint64_t scored_tokens = 0, max_generated_tokens = 0;
    std::size_t first_request = 0, num_requests = 0;  ///< global ids [first, first + num)
    SamplingOptions sampling;                         ///< of a task that generates
};

/// What a global request id belongs to.
struct RequestOrigin {
    std::uint32_t task = 0;     ///< index into WorkPlan::tasks
    std::uint32_t sample = 0;   ///< index into its samples
    std::uint32_t request = 0;  ///< index into Sample::requests
    std::uint32_t part = 0;     ///< rolling: window; generation: repeat
};

struct WorkPlan {
    std::vector<PlannedTask> tasks;
    std::vector<GroupSpec> groups;
    std::vector<Request> requests;       ///< index = global id
    std::vector<RequestOrigin> origins;  ///< by global id
    std::vector<std::uint32_t> costs;    ///< by global id: input tokens that are not shared with an
                                         ///< earlier request, and at most generated ones
    std::int64_t longest_request = 0;    ///< in KV tokens

    std::uint64_t total_cost() const;  ///< sum of costs
};

/// Resolves the run's tasks and groups with the run's overrides applied, and checks filters and
/// metrics. Throws UserError.
TaskSelection select_tasks(const RunConfig& run);

/// Reads the datasets, builds every prompt and tokenises it on `threads` threads. Throws UserError.
WorkPlan make_work_plan(const TaskSelection& selection, const RunConfig& run,
                        const ModelFiles& files, int threads);

/// Global ids [begin, end): requests that are handed out together.
struct Chunk {
    std::size_t begin = 0, end = 0;
    std::uint64_t cost = 0;  ///< tokens
};

/// Cuts the plan into chunks on demand: large ones first, small ones at the end, never through a
/// document.
class ChunkQueue {
 public:
    /// `consumers`: groups that take chunks; `min_cost`: tokens below which a chunk is not worth
    /// its message.
    ChunkQueue(const WorkPlan& plan, int consumers, std::uint64_t min_cost);
    /// The next chunk; empty (begin == end) when all work is handed out.
    Chunk next();

 private:
    const WorkPlan* plan_;
    std::uint64_t consumers_, min_cost_, remaining_;
    std::size_t position_ = 0;
};

}  // namespace muster
