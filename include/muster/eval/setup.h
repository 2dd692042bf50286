#pragma once
// Set-up steps that `run` and `plan` share.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "muster/eval/request_builder.h"
#include "muster/eval/run_config.h"
#include "muster/model/generation_defaults.h"
#include "muster/model/model_config.h"
#include "muster/text/tokenizer.h"

namespace muster {

/// The parts of a checkpoint directory that are read before the weights.
struct ModelFiles {
    ModelConfig config;
    Tokenizer tokenizer;
    std::int64_t max_length = 0;         ///< tokens of context for this run
    std::vector<std::int32_t> stop_ids;  ///< what ends a generation
    RequestBuilder builder() const { return {tokenizer, max_length, add_bos}; }
    std::optional<bool> add_bos;
    GenerationDefaults generation;  ///< as the run wants them
};

/// Reads config.json, generation_config.json and the tokenizer, and checks them against each other
/// and against the run's tensor-parallel degree and max_length. Throws UserError.
ModelFiles load_model_files(const RunConfig& run);

/// KV tokens per rank: what the run file says, in tokens or in bytes, else up to 65,536 within 40 %
/// of this rank's share of free memory. Throws UserError with the bytes if the longest request does
/// not fit.
std::int64_t choose_kv_tokens(const RunConfig& run, const ModelConfig& config,
                              std::int64_t longest_request, std::uint64_t free_bytes_per_rank);

/// Packed tokens of a step where the run does not say: enough rows to keep a device, or the caches
/// of a CPU, busy.
std::int64_t default_step_tokens(bool cuda);
/// Tokens in whole pages.
std::int64_t round_to_pages(std::int64_t tokens);

/// Ranks of one node and how often its memory holds the weights that they can share.
struct NodeShare {
    int ranks = 1;
    int copies = 1;
};
/// Bytes that the ranks of a node need together, without what the system's cache holds anyway.
std::uint64_t node_bytes(const MemoryPlan& plan, const NodeShare& node);
/// "", or why `available` bytes of a node do not suffice for `plan` and what to change.
std::string memory_problem(const MemoryPlan& plan, const NodeShare& node, std::uint64_t available);

/// Memory that a new allocation may take on this node (MemAvailable, and the control group's
/// limit).
std::uint64_t available_memory();
/// What this process takes besides the model: all that is resident now, with the program's files,
/// and what a run adds to that. To be called once tasks and tokenizer are there and before weights
/// are.
std::uint64_t program_bytes();
/// The largest resident set that this process has had, in bytes.
std::uint64_t peak_resident_bytes();

}  // namespace muster
