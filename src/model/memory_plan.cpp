// What a rank will allocate, from the config alone. The formulas follow Decoder and Workspace; a
// test holds them to the bytes that a loaded model reports.

#include <algorithm>

#include "muster/backend/backend.h"
#include "muster/model/model_config.h"
#include "shard_plan.h"
#include "workspace.h"

namespace muster {

namespace {

std::uint64_t f32_bytes(std::int64_t elements) {
    return static_cast<std::uint64_t>(elements) * sizeof(float);
}

std::uint64_t layer_matrix_bytes(const ModelConfig& config, const ShardPlan& plan) {
    const std::int64_t q = plan.heads * config.head_dim, kv = plan.kv_heads * config.head_dim;
    const std::int64_t hidden = config.hidden_size, f = plan.intermediate;
    return cpu_matrix_bytes(config.dtype, q + 2 * kv, hidden, 1) +
           cpu_matrix_bytes(config.dtype, hidden, q, plan.local_shards) +
           cpu_matrix_bytes(config.dtype, 2 * f, hidden, 1) +
           cpu_matrix_bytes(config.dtype, hidden, f, plan.local_shards);
}

std::uint64_t layer_vector_bytes(const ModelConfig& config, const ShardPlan& plan) {
    const std::int64_t q = plan.heads * config.head_dim, kv = plan.kv_heads * config.head_dim;
    const std::int64_t hidden = config.hidden_size, f = plan.intermediate;
    std::uint64_t bytes = 0;
    if (config.attention_bias) bytes += f32_bytes(q + 2 * kv + hidden);
    if (config.mlp_bias) bytes += f32_bytes(2 * f + hidden);
    return bytes + f32_bytes(2 * hidden);
}

}  // namespace

std::uint64_t kv_bytes_per_token(const ModelConfig& config, int tp) {
    const ShardPlan plan(config, tp, 0);
    return static_cast<std::uint64_t>(2 * config.num_layers * plan.kv_heads * config.head_dim) *
           size_of(config.dtype);
}

MemoryPlan plan_memory(const ModelConfig& config, int tp, std::int64_t kv_tokens,
                       std::int64_t max_step_rows, int threads) {
    const ShardPlan plan(config, tp, 0);
    MemoryPlan memory;
    const auto layers = static_cast<std::uint64_t>(config.num_layers);
    memory.matrices = layers * layer_matrix_bytes(config, plan) +
                      cpu_matrix_bytes(config.dtype, plan.vocab_rows, config.hidden_size, 1);
    memory.weights = memory.matrices + layers * layer_vector_bytes(config, plan) +
                     f32_bytes(config.hidden_size);
    const std::int64_t pages = (kv_tokens + kKvPageTokens - 1) / kKvPageTokens;
    memory.kv_cache =
        static_cast<std::uint64_t>(pages * kKvPageTokens) * kv_bytes_per_token(config, tp);
    Workspace::for_each(config, plan, max_step_rows, [&](auto, DType dtype, const Shape& shape) {
        memory.workspace += static_cast<std::uint64_t>(num_elements(shape)) * size_of(dtype);
    });
    memory.workspace += f32_bytes(max_step_rows * config.head_dim);  // cos_sin once more on the host
    CpuWork work;
    work.compute = config.dtype;
    work.threads = threads;
    work.tp = tp;
    work.k_shards = plan.local_shards;
    work.rows = max_step_rows;
    work.k = std::max({config.hidden_size, plan.intermediate, plan.heads * config.head_dim});
    work.n = config.hidden_size;
    work.head_dim = config.head_dim;
    memory.workspace += cpu_scratch_bytes(work);
    memory.table = static_cast<std::uint64_t>(config.vocab_size * config.hidden_size) *
                   size_of(config.dtype);
    return memory;
}

double flops_per_token(const ModelConfig& config, double context) {
    const auto hidden = static_cast<double>(config.hidden_size),
               f = static_cast<double>(config.intermediate_size);
    const auto q = static_cast<double>(config.num_heads * config.head_dim);
    const auto kv = static_cast<double>(config.num_kv_heads * config.head_dim);
    const double window = static_cast<double>(config.sliding_window);
    const double seen = config.sliding_window > 0 ? std::min(context, window) : context;
    const double products = hidden * (q + 2 * kv) + q * hidden + 3 * hidden * f;
    return 2.0 * static_cast<double>(config.num_layers) * (products + 2 * q * seen);
}

}  // namespace muster
