#include "muster/eval/device_memory.h"

#include <algorithm>

#include "muster/backend/backend.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/eval/setup.h"

namespace muster {

namespace {

/// More than any frontier of a token trie needs.
constexpr std::int64_t kEnough = std::int64_t{1} << 22;

std::int64_t round_down(std::int64_t tokens) {
    return tokens / kKvPageTokens * kKvPageTokens;
}

}  // namespace

DType stored_dtype(const Checkpoint& checkpoint) {
    DType widest = DType::bf16;
    for (const std::string& name : checkpoint.names()) {
        const StoredTensor* tensor = checkpoint.find(name);
        if (tensor->dtype_name == "F32") widest = DType::f32;
    }
    return widest;
}

MemoryPlan plan_device(const RunConfig& run, const ModelConfig& config, const DeviceNeeds& needs,
                       int tp, std::int64_t kv_tokens) {
    return plan_cuda_memory(config, {.tp = tp,
                                     .tp_invariant = run.tp_invariant,
                                     .kv_tokens = kv_tokens,
                                     .max_step_rows = run.step_tokens,
                                     .max_context = needs.longest_request,
                                     .stored = needs.stored});
}

std::int64_t choose_device_kv_tokens(const RunConfig& run, const ModelConfig& config,
                                     const DeviceNeeds& needs, std::uint64_t room) {
    const std::uint64_t per_token = kv_bytes_per_token(config, run.tensor_parallel);
    const std::int64_t needed = round_to_pages(std::max<std::int64_t>(needs.longest_request, 1));
    const bool fixed = run.kv_tokens > 0 || run.kv_memory > 0;
    std::int64_t tokens = needed;
    if (fixed) tokens = choose_kv_tokens(run, config, needs.longest_request, 0);
    const MemoryPlan least = plan_device(run, config, needs, run.tensor_parallel, tokens);
    if (least.total() > room)
        throw UserError(
            cat("not enough memory on a device: a rank needs ", format_bytes(least.total()),
                " (weights ", format_bytes(least.weights), ", workspace ",
                format_bytes(least.workspace), ", keys and values ", format_bytes(least.kv_cache),
                " for ", format_count(static_cast<std::uint64_t>(tokens)), " tokens",
                fixed ? "" : ", the longest request", ") but may take ", format_bytes(room),
                " of its device; expected at most that: a larger --tp, a smaller --step-tokens",
                fixed ? ", --kv-tokens or --kv-memory" : " or --max-length",
                ", or a larger --gpu-memory-fraction (now ", run.gpu_memory_fraction, ")"));
    if (fixed) return tokens;
    // A page of one layer is a multiple of the arena's blocks, so the plan grows by just that much.
    const auto more = static_cast<std::int64_t>(
        std::min<std::uint64_t>((room - least.total()) / per_token, kEnough));
    return std::max(needed, std::min(kEnough, tokens + round_down(more)));
}

}  // namespace muster
