#pragma once
// What a Hugging Face config.json says of a decoder, checked and with the defaults of its model
// type filled in. Accepts the spellings of Transformers v4 (rope_scaling, torch_dtype) and v5
// (rope_parameters, dtype).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "muster/tensor/dtype.h"

namespace muster {

enum class RopeType { standard, linear, llama3, dynamic, yarn };

struct RopeSpec {
    RopeType type = RopeType::standard;
    double theta = 10000.0;
    double factor = 1.0;
    double low_freq_factor = 1.0, high_freq_factor = 4.0;            // llama3
    std::int64_t original_max_positions = 0;                         // llama3, dynamic, yarn
    double beta_fast = 32.0, beta_slow = 1.0;                        // yarn
    std::optional<double> attention_factor, mscale, mscale_all_dim;  // yarn
    bool truncate = true;  // yarn: floor/ceil of the correction range
};

/// How a family calls the tensors of a mixture.
enum class ExpertNames { qwen, mixtral };

/// All sizes are global (before sharding).
struct ModelConfig {
    std::string architecture;  ///< "LlamaForCausalLM"
    std::int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0;
    std::int64_t num_layers = 0, num_heads = 0, num_kv_heads = 0, head_dim = 0;
    std::int64_t max_positions = 0;
    double norm_eps = 1e-6;
    std::int64_t sliding_window = 0;  ///< 0: none; else exactly this many keys, self included
    std::vector<bool> full_layers;    ///< [layers] those without the window; empty: none
    bool tie_embeddings = false;
    bool qkv_bias = false, output_bias = false, mlp_bias = false;
    bool qk_norm = false;  ///< RMSNorm of every head of queries and keys
    /// A mixture of experts in every block, each of intermediate_size; 0: none.
    std::int64_t num_experts = 0, experts_per_token = 0;
    bool normalize_expert_weights = true;  ///< see ExpertRouting
    ExpertNames expert_names = ExpertNames::qwen;
    RopeSpec rope;
    DType dtype = DType::f32;           ///< compute type
    std::vector<std::int32_t> eos_ids;  ///< from generation_config.json, else config.json
    std::optional<std::int32_t> bos_id;

    /// The sliding window of a layer, 0 if it has none.
    std::int64_t window_of(std::int64_t layer) const {
        const auto index = static_cast<std::size_t>(layer);
        return full_layers.empty() || !full_layers[index] ? sliding_window : 0;
    }

    /// Reads `directory`/config.json and generation_config.json. `dtype_override` is "" or a dtype
    /// name. Throws UserError listing every problem; an unknown architecture lists the known ones.
    static ModelConfig load(const std::string& directory, const std::string& dtype_override);
    /// The same from the text of a config.json, without a checkpoint: unless text or override name
    /// a type, it is float32. `place` names the text in messages.
    static ModelConfig parse(const std::string& text, const std::string& place,
                             const std::string& dtype_override);
};

/// The architectures in the table, for messages and help.
std::vector<std::string> known_architectures();

/// Virtual shards of row-parallel products: the largest power of two ≤ 8 that divides heads and
/// intermediate size.
int virtual_shards(const ModelConfig& config);
/// Tensor-parallel degrees that this model allows: powers of two that divide the virtual shards and
/// either divide the kv heads or are a multiple of them.
std::vector<int> legal_tp_degrees(const ModelConfig& config);
/// Throws UserError saying which degrees are legal if `tp` is not.
void check_tp_degree(const ModelConfig& config, int tp);

/// Bytes per rank, closed form, before anything is loaded.
struct MemoryPlan {
    bool on_device = false;  ///< weights, kv_cache and workspace are a device's memory
    /// This rank's matrices, vectors and (unmapped) tables.
    std::uint64_t weights = 0;
    /// Of these, what ranks of a node that hold the same weights can share.
    std::uint64_t matrices = 0;
    /// kv_tokens of keys and values.
    std::uint64_t kv_cache = 0;
    /// Activations of one step and the kernels' scratch memory.
    std::uint64_t workspace = 0;
    /// The embeddings in the mapped file: the system's cache, resident once read.
    std::uint64_t table = 0;
    /// The program, its libraries, tokenizer and tasks: for the caller to measure, see
    /// program_bytes().
    std::uint64_t process = 0;
    std::uint64_t total() const { return weights + kv_cache + workspace; }
    /// The largest resident set to expect.
    std::uint64_t resident() const { return (on_device ? 0 : total() + table) + process; }
};
/// For `threads` threads per rank.
MemoryPlan plan_memory(const ModelConfig& config, int tp, std::int64_t kv_tokens,
                       std::int64_t max_step_rows, int threads = 1);
/// What decides how much of a device the CUDA backend takes, besides the model.
struct CudaDemand {
    int tp = 1;
    bool tp_invariant = false;  ///< virtual shards as on CPUs, else one per rank
    std::int64_t kv_tokens = 0;
    std::int64_t max_step_rows = 1;
    std::int64_t max_context = 1;  ///< tokens of the longest sequence
    DType stored = DType::f32;     ///< type of the embeddings in the checkpoint
};
/// Throws UserError if there are no kernels for the model's heads: whoever plans learns it before
/// anything is loaded.
MemoryPlan plan_cuda_memory(const ModelConfig& config, const CudaDemand& demand);
/// Bytes of keys and values for one token on one rank.
std::uint64_t kv_bytes_per_token(const ModelConfig& config, int tp);
/// Keys that a token at context length `context`, itself included, sees; the layers' mean.
double keys_seen(const ModelConfig& config, double context);
/// Elements of the layers' matrices; of a mixture, those of the router and of `experts` experts.
double layer_elements(const ModelConfig& config, double experts);
/// Floating-point operations for one token at context length `context`, without the output head (×
/// 2 per multiply-add). Of a mixture only the experts that a token goes to count.
double flops_per_token(const ModelConfig& config, double context);

}  // namespace muster
