#pragma once
// The second half of a decoder block: a gated MLP, or a mixture of them of which every row goes to
// a few.

#include <memory>
#include <string>
#include <vector>

#include "linear.h"
#include "muster/backend/backend.h"
#include "muster/model/model_config.h"
#include "shard_plan.h"
#include "weights.h"
#include "workspace.h"

namespace muster {

/// residual += down(silu(gate(x)) · up(x)).
class GatedMlp {
 public:
    /// `prefix` is that of the layer.
    GatedMlp(Weights& weights, const ModelConfig& config, const ShardPlan& plan,
             const std::string& prefix);
    /// From step.normed to step.residual, then, if there is `next`, that norm of it to step.normed.
    /// Collective over the group.
    void forward(Backend& backend, const Workspace& step, const RmsNorm* next) const;
    std::uint64_t bytes() const { return gate_up_.bytes() + down_.bytes(); }

 private:
    GatedLinear gate_up_;
    RowParallelLinear down_;
};

/// residual += Σ of a row's experts. Every rank has the whole router and its part of every expert.
class Mixture {
 public:
    /// Takes the experts one by one, as published, or stacked in two tensors, as Transformers 5
    /// holds them in memory: whatever the checkpoint has.
    Mixture(Weights& weights, const ModelConfig& config, const ShardPlan& plan,
            const std::string& prefix);
    /// As GatedMlp::forward.
    void forward(Backend& backend, const Workspace& step, const RmsNorm* next) const;
    std::uint64_t bytes() const;

 private:
    std::unique_ptr<Matrix> router_;                ///< [experts, hidden]
    std::vector<std::unique_ptr<Matrix>> gate_up_;  ///< per expert [2 · f, hidden], local
    std::vector<std::unique_ptr<Matrix>> down_;     ///< per expert [hidden, f], local
    std::vector<Expert> experts_;
    ExpertRouting routing_;
};

}  // namespace muster
