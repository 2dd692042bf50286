#pragma once
// The slices of a step as the model wants them: packed rows, and which of them go to the output
// head.

#include <cstdint>
#include <vector>

#include "muster/model/model.h"
#include "scheduler.h"
#include "sequences.h"

namespace muster {

/// One row on its way to the output head.
struct OutputRow {
    std::int32_t node = 0;
    std::int32_t position = 0;
    bool score = false;  ///< wants Model::score
};

struct Step {
    StepBatch batch;
    std::vector<OutputRow> outputs;  ///< as batch.output_rows
    std::uint64_t num_decoded = 0;   ///< rows of tokens that were generated; the others are prompts
};

/// Packs `slices`, those that RowSampler chooses for last. The step borrows from `scheduler`.
Step pack_step(std::vector<Scheduler::Slice> slices, const Scheduler& scheduler,
               const Sequences& sequences);

}  // namespace muster
