#pragma once
// The slices of a step as the model wants them: packed rows, and which of them go to the output
// head.

#include <cstdint>
#include <vector>

#include "inputs.h"
#include "muster/model/model.h"
#include "scheduler.h"

namespace muster {

/// One row on its way to the output head.
struct OutputRow {
    Input* input = nullptr;
    std::int32_t position = 0;
};

struct Step {
    StepBatch batch;
    std::vector<OutputRow> outputs;  ///< as batch.output_rows
    std::size_t num_scored =
        0;  ///< the first outputs, for Model::score; the others need Model::logits
};

/// Packs `slices`, those that need logits last. The step borrows from `scheduler` and `inputs`.
Step pack_step(std::vector<Scheduler::Slice> slices, const Scheduler& scheduler,
               std::vector<Input>& inputs);

}  // namespace muster
