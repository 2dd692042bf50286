#include "step.h"

#include <algorithm>

namespace muster {

Step pack_step(std::vector<Scheduler::Slice> slices, const Scheduler& scheduler,
               std::vector<Input>& inputs) {
    std::stable_partition(slices.begin(), slices.end(), [&](const Scheduler::Slice& slice) {
        return !inputs[slice.sequence].needs_logits();
    });
    Step step;
    StepBatch& batch = step.batch;
    for (const Scheduler::Slice& slice : slices) {
        Input& input = inputs[slice.sequence];
        const std::int32_t end = slice.first_position + slice.num_rows;
        batch.sequences.push_back({.first_row = static_cast<std::int32_t>(batch.tokens.size()),
                                   .num_rows = slice.num_rows,
                                   .first_position = slice.first_position,
                                   .pages = scheduler.pages(slice.sequence, end)});
        batch.lengths.push_back(input.at_most);
        for (std::int32_t position = slice.first_position; position < end; ++position) {
            if (position >= input.first_output) {
                batch.output_rows.push_back(static_cast<std::int32_t>(batch.tokens.size()));
                step.outputs.push_back({&input, position});
                step.num_scored += input.needs_logits() ? 0 : 1;
            }
            batch.tokens.push_back(input.token_at(position));
        }
    }
    return step;
}

}  // namespace muster
