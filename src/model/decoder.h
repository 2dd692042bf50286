#pragma once
// The decoder of Llama and its relatives: pre-norm attention and gated MLP blocks, or mixtures of
// these, on an f32 residual stream.

#include <variant>
#include <vector>

#include "linear.h"
#include "mixture.h"
#include "muster/model/model.h"
#include "rope.h"
#include "shard_plan.h"
#include "vocab_head.h"
#include "weights.h"
#include "workspace.h"

namespace muster {

/// One decoder block's weights.
struct DecoderLayer {
    DecoderLayer(Weights& weights, const ModelConfig& config, const ShardPlan& plan,
                 std::int64_t index);
    std::uint64_t bytes() const;

    std::int64_t window;               ///< of attention; 0: none
    RmsNorm attention_norm, mlp_norm;  ///< [hidden]
    RmsNorm q_norm, k_norm;            ///< [head_dim], or empty
    ColumnParallelLinear qkv;
    RowParallelLinear output;
    std::variant<GatedMlp, Mixture> mlp;
};

/// All weights of a decoder.
struct DecoderWeights {
    DecoderWeights(Weights& weights, const ModelConfig& config, const ShardPlan& plan);
    std::uint64_t bytes() const;

    Tensor embeddings;  ///< [vocab, hidden] in the stored type
    std::vector<DecoderLayer> layers;
    RmsNorm final_norm;  ///< [hidden]
    VocabParallelHead head;
};

class Decoder : public Model {
 public:
    /// `checkpoint` is kept, since the embeddings may be the mapped file.
    Decoder(const Checkpoint& checkpoint, const ModelConfig& config, const ShardPlan& plan,
            Backend& backend, DecoderWeights weights, std::int64_t max_step_rows);

    const ModelConfig& config() const override { return config_; }
    Backend& backend() override { return backend_; }
    std::uint64_t weight_bytes() const override { return weights_.bytes(); }
    KvCache make_kv_cache(std::int32_t num_pages) override;
    void copy_kv_pages(KvCache& kv, std::span<const PageCopy> copies) override;
    Tensor forward(const StepBatch& batch, KvCache& kv) override;
    void score(const Tensor& hidden, std::span<const LogitTarget> targets,
               std::vector<RowScore>& rows, std::vector<float>& target_logits) override;
    void candidates(const Tensor& hidden, int count, std::span<const float> inverse_temperatures,
                    RowCandidates& out) override;
    void draw(const Tensor& hidden, std::span<const TokenDraw> draws,
              std::vector<std::int32_t>& tokens) override;
    void logits(const Tensor& hidden, std::span<const std::int32_t> rows,
                std::vector<float>& out) override;

 private:
    void check(const StepBatch& batch, const KvCache& kv) const;
    void set_positions(const StepBatch& batch, const Workspace& step);
    void attention_block(const DecoderLayer& layer, const StepBatch& batch, const Tensor& keys,
                         const Tensor& values, const Workspace& step);
    Tensor final_hidden(const StepBatch& batch, const Workspace& step);

    Checkpoint checkpoint_;
    ModelConfig config_;
    ShardPlan plan_;
    Backend& backend_;
    DecoderWeights weights_;
    Rope rope_;
    std::int64_t max_step_rows_;
    Workspace workspace_;
    std::vector<float> cos_sin_;
};

}  // namespace muster
