#include "step.h"

#include <algorithm>

namespace muster {

Step pack_step(std::vector<Scheduler::Slice> slices, const Scheduler& scheduler,
               const Sequences& sequences) {
    std::stable_partition(slices.begin(), slices.end(), [&](const Scheduler::Slice& slice) {
        return !sequences.needs_logits(slice.branch, slice.first_position + slice.num_rows - 1);
    });
    Step step;
    StepBatch& batch = step.batch;
    for (const Scheduler::Slice& slice : slices) {
        const TrieNode& node = sequences.node(slice.branch);
        const std::int32_t end = slice.first_position + slice.num_rows;
        batch.sequences.push_back({.first_row = static_cast<std::int32_t>(batch.tokens.size()),
                                   .num_rows = slice.num_rows,
                                   .first_position = slice.first_position,
                                   .pages = scheduler.pages(slice.branch, end)});
        batch.lengths.push_back(node.length);
        for (std::int32_t position = slice.first_position; position < end; ++position) {
            if (position >= node.first_output) {
                batch.output_rows.push_back(static_cast<std::int32_t>(batch.tokens.size()));
                step.outputs.push_back({.node = slice.branch,
                                        .position = position,
                                        .score = sequences.needs_score(slice.branch, position)});
            }
            step.num_decoded += position >= node.end ? 1 : 0;
            batch.tokens.push_back(sequences.token_at(slice.branch, position));
        }
    }
    return step;
}

}  // namespace muster
