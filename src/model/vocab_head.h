#pragma once
// The output head with the vocabulary split over ranks in virtual shards. Statistics of all shards
// are gathered and merged in the order of the shards, so that no result depends on the number of
// ranks.

#include <memory>
#include <span>
#include <vector>

#include "muster/backend/backend.h"
#include "muster/model/model.h"
#include "shard_plan.h"
#include "weights.h"

namespace muster {

/// Rows of logits that are computed at once.
inline constexpr std::int64_t kLogitRows = 16;

class VocabParallelHead {
 public:
    /// `name` is the [vocab, hidden] tensor, with ".weight".
    VocabParallelHead(Weights& weights, const std::string& name, const ModelConfig& config,
                      const ShardPlan& plan);

    /// See Model::score. Collective over the group.
    void score(Backend& backend, const Tensor& hidden, std::span<const LogitTarget> targets,
               std::vector<RowScore>& rows, std::vector<float>& target_logits) const;
    /// See Model::candidates. Collective over the group.
    void candidates(Backend& backend, const Tensor& hidden, int count,
                    std::span<const float> inverse_temperatures, RowCandidates& out) const;
    /// See Model::draw. Collective over the group.
    void draw(Backend& backend, const Tensor& hidden, std::span<const TokenDraw> draws,
              std::vector<std::int32_t>& tokens) const;
    /// See Model::logits. Collective over the group.
    void logits(Backend& backend, const Tensor& hidden, std::span<const std::int32_t> rows,
                std::vector<float>& out) const;
    std::uint64_t bytes() const { return matrix_->bytes(); }

 private:
    /// This rank's targets replaced by every target's value from the rank that owns it.
    void share_targets(Backend& backend, std::span<const LogitTarget> targets,
                       std::vector<float>& values) const;

    std::int64_t vocab_;
    ShardPlan plan_;
    std::unique_ptr<Matrix> matrix_;
};

}  // namespace muster
