#pragma once
// How much of its devices a job takes, decided before anything is loaded.

#include <cstdint>
#include <string>

#include "muster/eval/run_config.h"
#include "muster/model/model_config.h"
#include "muster/tensor/checkpoint.h"

namespace muster {

/// What the model needs on a device besides the run's own numbers.
struct DeviceNeeds {
    std::int64_t longest_request = 1;  ///< tokens
    DType stored = DType::f32;         ///< of the embeddings in the checkpoint
};
/// The widest type of a checkpoint's tensors.
DType stored_dtype(const Checkpoint& checkpoint);

/// The plan for `kv_tokens` tokens, at `tp` ranks per replica.
MemoryPlan plan_device(const RunConfig& run, const ModelConfig& config, const DeviceNeeds& needs,
                       int tp, std::int64_t kv_tokens);

/// KV tokens per rank: what the run file says, in tokens or in bytes, else what `room` bytes hold
/// besides weights and workspace. Throws UserError with the bytes of each if that is too little for
/// the longest request.
std::int64_t choose_device_kv_tokens(const RunConfig& run, const ModelConfig& config,
                                     const DeviceNeeds& needs, std::uint64_t room);

}  // namespace muster
