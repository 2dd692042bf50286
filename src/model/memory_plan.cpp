// What a rank will allocate, from the config alone. The formulas follow Decoder and Workspace; a
// test holds them to the bytes that a loaded model reports.

#include <algorithm>
#include <vector>

#include "muster/backend/backend.h"
#include "muster/backend/cuda.h"
#include "muster/model/model_config.h"
#include "shard_plan.h"
#include "vocab_head.h"
#include "workspace.h"

namespace muster {

namespace {

std::uint64_t f32_bytes(std::int64_t elements) {
    return static_cast<std::uint64_t>(elements) * sizeof(float);
}

using MatrixBytes = std::uint64_t (*)(DType, std::int64_t n, std::int64_t k, int k_shards);

/// `shards`: local ones of row-parallel products.
std::uint64_t layer_matrix_bytes(const ModelConfig& config, const ShardPlan& plan, int shards,
                                 MatrixBytes bytes) {
    const std::int64_t q = plan.heads * config.head_dim, kv = plan.kv_heads * config.head_dim;
    const std::int64_t hidden = config.hidden_size, f = plan.intermediate;
    const std::uint64_t attention =
        bytes(config.dtype, q + 2 * kv, hidden, 1) + bytes(config.dtype, hidden, q, shards);
    const std::uint64_t mlp =
        bytes(config.dtype, 2 * f, hidden, 1) + bytes(config.dtype, hidden, f, shards);
    if (config.num_experts == 0) return attention + mlp;
    return attention + bytes(config.dtype, config.num_experts, hidden, 1) +
           static_cast<std::uint64_t>(config.num_experts) * mlp;
}

/// Elements of each vector of a layer: the norms, then biases.
std::vector<std::int64_t> layer_vectors(const ModelConfig& config, const ShardPlan& plan) {
    const std::int64_t q = plan.heads * config.head_dim, kv = plan.kv_heads * config.head_dim;
    const std::int64_t hidden = config.hidden_size, f = plan.intermediate;
    std::vector<std::int64_t> sizes{hidden, hidden};
    if (config.qk_norm) sizes.insert(sizes.end(), 2, config.head_dim);
    if (config.qkv_bias) sizes.push_back(q + 2 * kv);
    if (config.output_bias) sizes.push_back(hidden);
    if (config.mlp_bias) sizes.insert(sizes.end(), {2 * f, hidden});
    return sizes;
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
    memory.matrices =
        layers * layer_matrix_bytes(config, plan, plan.local_shards, cpu_matrix_bytes) +
        cpu_matrix_bytes(config.dtype, plan.vocab_rows, config.hidden_size, 1);
    memory.weights = memory.matrices + f32_bytes(config.hidden_size);
    for (const std::int64_t size : layer_vectors(config, plan))
        memory.weights += layers * f32_bytes(size);
    const std::int64_t pages = (kv_tokens + kKvPageTokens - 1) / kKvPageTokens;
    memory.kv_cache =
        static_cast<std::uint64_t>(pages * kKvPageTokens) * kv_bytes_per_token(config, tp);
    Workspace::for_each(config, plan, max_step_rows, [&](auto, DType dtype, const Shape& shape) {
        memory.workspace += static_cast<std::uint64_t>(num_elements(shape)) * size_of(dtype);
    });
    memory.workspace +=
        f32_bytes(max_step_rows * config.head_dim);  // cos_sin once more on the host
    CpuWork work;
    work.compute = config.dtype;
    work.threads = threads;
    work.tp = tp;
    work.k_shards = plan.local_shards;
    work.rows = max_step_rows;
    work.k = std::max({config.hidden_size, plan.intermediate, plan.heads * config.head_dim});
    work.n = config.hidden_size;
    work.vocab_rows = plan.vocab_rows;
    work.head_dim = config.head_dim;
    work.experts = config.num_experts;
    work.experts_per_row = config.experts_per_token;
    work.intermediate = plan.intermediate;
    memory.workspace += cpu_scratch_bytes(work);
    memory.table =
        static_cast<std::uint64_t>(config.vocab_size * config.hidden_size) * size_of(config.dtype);
    return memory;
}

MemoryPlan plan_cuda_memory(const ModelConfig& config, const CudaDemand& demand) {
    check_cuda_head_dim(config.head_dim);
    const ShardPlan plan(config, demand.tp, 0);
    const int shards = demand.tp_invariant ? plan.local_shards : 1;
    const std::int64_t rows = demand.max_step_rows;
    const auto layers = static_cast<std::uint64_t>(config.num_layers);
    // Every allocation takes whole blocks of the arena: what a matrix of its shape takes.
    const auto tensor_bytes = [](DType dtype, std::int64_t n, std::int64_t k) {
        return cuda_matrix_bytes(dtype, n, k, 1);
    };
    MemoryPlan memory;
    memory.on_device = true;
    memory.matrices = layers * layer_matrix_bytes(config, plan, shards, cuda_matrix_bytes) +
                      cuda_matrix_bytes(config.dtype, plan.vocab_rows, config.hidden_size, 1);
    memory.weights = memory.matrices +
                     tensor_bytes(demand.stored, config.vocab_size, config.hidden_size) +
                     tensor_bytes(DType::f32, 1, config.hidden_size);
    for (const std::int64_t size : layer_vectors(config, plan))
        memory.weights += layers * tensor_bytes(DType::f32, 1, size);

    const std::int64_t tokens =
        (demand.kv_tokens + kKvPageTokens - 1) / kKvPageTokens * kKvPageTokens;
    memory.kv_cache =
        2 * layers * tensor_bytes(config.dtype, tokens, plan.kv_heads * config.head_dim);

    Workspace::for_each(config, plan, rows, [&](auto, DType dtype, const Shape& shape) {
        memory.workspace += tensor_bytes(dtype, shape[0], shape[1]);
    });
    memory.workspace += tensor_bytes(DType::f32, kLogitRows, plan.vocab_rows) +
                        tensor_bytes(config.dtype, kLogitRows, config.hidden_size);
    CudaWork work;
    work.compute = config.dtype;
    work.tp = demand.tp;
    work.k_shards = shards;
    work.rows = rows;
    work.hidden = config.hidden_size;
    work.intermediate = plan.intermediate;
    work.heads = plan.heads;
    work.head_dim = config.head_dim;
    work.max_context = demand.max_context;
    work.vocab_rows = plan.vocab_rows;
    work.vocab_shards = shards;
    work.experts = config.num_experts;
    work.experts_per_row = config.experts_per_token;
    memory.workspace += cuda_scratch_bytes(work);
    // Biases are put together from pieces, which leave holes while a model is loaded.
    constexpr std::uint64_t kHoles = std::uint64_t{1} << 20;
    memory.workspace += kHoles;
    // The driver, cuBLASLt and NCCL with their tables, pinned memory, and the program.
    memory.process = std::uint64_t{1} << 30;
    return memory;
}

double keys_seen(const ModelConfig& config, double context) {
    double all = 0;
    for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
        const std::int64_t window = config.window_of(layer);
        all += window > 0 ? std::min(context, static_cast<double>(window)) : context;
    }
    return all / static_cast<double>(config.num_layers);
}

double layer_elements(const ModelConfig& config, double experts) {
    const auto hidden = static_cast<double>(config.hidden_size),
               f = static_cast<double>(config.intermediate_size);
    const auto q = static_cast<double>(config.num_heads * config.head_dim);
    const auto kv = static_cast<double>(config.num_kv_heads * config.head_dim);
    const double attention = hidden * (q + 2 * kv) + q * hidden, mlp = 3 * hidden * f;
    const double router = hidden * static_cast<double>(config.num_experts);
    return static_cast<double>(config.num_layers) *
           (attention + (config.num_experts > 0 ? router + experts * mlp : mlp));
}

double flops_per_token(const ModelConfig& config, double context) {
    const auto q = static_cast<double>(config.num_heads * config.head_dim);
    return 2.0 * (layer_elements(config, static_cast<double>(config.experts_per_token)) +
                  static_cast<double>(config.num_layers) * 2 * q * keys_seen(config, context));
}

}  // namespace muster
