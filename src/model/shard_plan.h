#pragma once
// What one rank of a tensor-parallel group holds. Every sum that crosses ranks is a sum over
// virtual shards, whose number belongs to the model alone if results are not to depend on the number
// of ranks; a rank owns an aligned run of them.

#include "muster/model/model_config.h"

namespace muster {

struct ShardPlan {
    /// Throws UserError if `tp` is not legal for the model. Unless `tp_invariant`, a rank's shards
    /// are one; all else is the same.
    ShardPlan(const ModelConfig& config, int tp, int rank, bool tp_invariant = true);

    int tp = 1, rank = 0;
    int virtual_shards = 1;  ///< of the whole model
    int local_shards = 1;    ///< virtual_shards / tp, or 1
    std::int64_t first_head = 0, heads = 0;
    std::int64_t first_kv_head = 0, kv_heads = 0;  ///< replicated when tp exceeds the kv heads
    std::int64_t first_intermediate = 0, intermediate = 0;
    std::int64_t vocab_begin =
        0;  ///< this rank's head rows are ids [vocab_begin, vocab_begin + vocab_rows)
    std::int64_t vocab_rows = 0;  ///< with padding, equal on all ranks
    std::int64_t vocab_real = 0;  ///< without padding; may be 0
};

}  // namespace muster
