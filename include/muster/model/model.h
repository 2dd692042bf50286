#pragma once
// One decoder on one tensor-parallel group. Every rank of the group makes the same calls with the
// same arguments.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "muster/backend/backend.h"
#include "muster/model/model_config.h"
#include "muster/tensor/checkpoint.h"

namespace muster {

/// Keys and values of all layers in pages of kKvPageTokens tokens; pages are handed out by the
/// engine.
struct KvCache {
    std::int32_t num_pages = 0;
    /// Per layer [pages, kKvPageTokens, kv_heads_local · head_dim], compute type.
    std::vector<Tensor> keys, values;
};

/// The packed rows of one step.
struct StepBatch {
    std::vector<std::int32_t> tokens;          ///< [rows]
    std::vector<AttentionSequence> sequences;  ///< cover the rows in order, without gaps
    /// Per sequence: tokens it will have at most (dynamic rope).
    std::vector<std::int64_t> lengths;
    /// Rows whose final hidden state is wanted, ascending.
    std::vector<std::int32_t> output_rows;
};

/// Log-softmax facts of one output row.
struct RowScore {
    double log_sum_exp = 0;
    std::int32_t argmax = 0;  ///< lowest id on ties
};

/// What a token can be drawn from without all logits of a row.
struct RowCandidates {
    std::vector<TopLogit> best;  ///< [rows, count] best first, the lower id on ties; token −1
                                 ///< where the vocabulary is smaller
    std::vector<double> totals;  ///< [rows]: Σ exp((logit − largest) · inverse temperature) over
                                 ///< the vocabulary, by virtual shards in their order
};

/// A token to be drawn from a row of hidden states, by two independent numbers in [0, 1).
struct TokenDraw {
    std::int32_t row = 0;
    float inverse_temperature = 1;  ///< positive
    double block_uniform = 0, token_uniform = 0;
};

class Model {
 public:
    /// Loads this rank's slices. `max_step_rows` bounds the rows of a step. Throws UserError for
    /// missing or ill-shaped tensors (by name); warns of tensors never asked for. `progress(done,
    /// total)` in bytes. Collective over the group.
    static std::unique_ptr<Model> load(
        const Checkpoint& checkpoint, const ModelConfig& config, Backend& backend,
        std::int64_t max_step_rows,
        const std::function<void(std::uint64_t, std::uint64_t)>& progress);
    /// The tensors that a checkpoint of `config` must have, with their whole shapes. Asks nothing
    /// of `backend`.
    static std::vector<TensorSpec> tensors(const ModelConfig& config, Backend& backend);
    virtual ~Model() = default;

    virtual const ModelConfig& config() const = 0;
    virtual Backend& backend() = 0;
    /// Bytes of weights that this rank holds in memory of its own.
    virtual std::uint64_t weight_bytes() const = 0;
    virtual KvCache make_kv_cache(std::int32_t num_pages) = 0;
    /// Copies whole pages, in order, in all layers.
    virtual void copy_kv_pages(KvCache& kv, std::span<const PageCopy> copies) = 0;

    /// Runs one step; returns normed hidden states of the output rows [outputs, hidden] in compute
    /// type, valid until the next forward. Collective over the group.
    virtual Tensor forward(const StepBatch& batch, KvCache& kv) = 0;
    /// Log-sum-exp and argmax of each row of `hidden`, and the logit of each target. Collective
    /// over the group.
    virtual void score(const Tensor& hidden, std::span<const LogitTarget> targets,
                       std::vector<RowScore>& rows, std::vector<float>& target_logits) = 0;
    /// The `count` ≤ kMaxTopLogits best tokens of each row of `hidden`, and the sums that make
    /// probabilities of them; inverse temperatures [rows] are positive. Collective over the group.
    virtual void candidates(const Tensor& hidden, int count,
                            std::span<const float> inverse_temperatures, RowCandidates& out) = 0;
    /// Draws a token for each of `draws`, ascending by row, in proportion to exp(logit · inverse
    /// temperature) over the whole vocabulary: first one of the blocks of Backend::draw_logits,
    /// then a token of it. Collective over the group.
    virtual void draw(const Tensor& hidden, std::span<const TokenDraw> draws,
                      std::vector<std::int32_t>& tokens) = 0;
    /// Full logits [rows.size(), vocab] f32 in host memory of these rows of `hidden`. Collective
    /// over the group.
    virtual void logits(const Tensor& hidden, std::span<const std::int32_t> rows,
                        std::vector<float>& out) = 0;
};

}  // namespace muster
