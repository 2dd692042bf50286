#include "mixture.h"

#include "muster/base/text.h"

namespace muster {

namespace {

/// This rank's rows of the projection `name` of a gated MLP.
Projection mlp_projection(const ModelConfig& c, const ShardPlan& p, const std::string& name) {
    return {name, c.intermediate_size, p.first_intermediate, p.first_intermediate + p.intermediate};
}

/// Names of a mixture's tensors: of the block, and of an expert's three.
struct Names {
    const char *block, *gate, *up, *down;
};

constexpr Names kQwenNames{"mlp.", "gate_proj", "up_proj", "down_proj"};
constexpr Names kMixtralNames{"block_sparse_moe.", "w1", "w3", "w2"};

/// Where one expert's parts are.
struct ExpertSlices {
    WeightSlice gate, up, down;
};

/// Experts as tensors of their own.
ExpertSlices single_slices(const ModelConfig& c, const ShardPlan& p, const std::string& expert,
                           const Names& names) {
    const std::int64_t f = c.intermediate_size, begin = p.first_intermediate,
                       end = begin + p.intermediate;
    const auto name = [&](const char* part) { return cat(expert, part, ".weight"); };
    return {WeightSlice::row_range(name(names.gate), f, c.hidden_size, begin, end),
            WeightSlice::row_range(name(names.up), f, c.hidden_size, begin, end),
            WeightSlice::column_range(name(names.down), c.hidden_size, f, begin, end)};
}

/// Expert `e` of tensors [experts, 2 · f, hidden] and [experts, hidden, f].
ExpertSlices stacked_slices(const ModelConfig& c, const ShardPlan& p, const std::string& experts,
                            std::int64_t e) {
    const std::int64_t f = c.intermediate_size, begin = p.first_intermediate,
                       end = begin + p.intermediate;
    const auto half = [&](std::int64_t first) {
        return WeightSlice{.name = experts + "gate_up_proj",
                           .shape = {c.num_experts, 2 * f, c.hidden_size},
                           .row_begin = first + begin,
                           .row_end = first + end,
                           .column_begin = 0,
                           .column_end = c.hidden_size};
    };
    return {half(2 * e * f), half((2 * e + 1) * f),
            WeightSlice{.name = experts + "down_proj",
                        .shape = {c.num_experts, c.hidden_size, f},
                        .row_begin = e * c.hidden_size,
                        .row_end = (e + 1) * c.hidden_size,
                        .column_begin = begin,
                        .column_end = end}};
}

}  // namespace

GatedMlp::GatedMlp(Weights& weights, const ModelConfig& c, const ShardPlan& p,
                   const std::string& prefix)
    : gate_up_(weights, mlp_projection(c, p, prefix + "mlp.gate_proj"),
               mlp_projection(c, p, prefix + "mlp.up_proj"), c.hidden_size, c.mlp_bias),
      down_(weights, prefix + "mlp.down_proj", c.hidden_size, c.intermediate_size,
            p.first_intermediate, p.first_intermediate + p.intermediate, p.local_shards,
            c.mlp_bias) {}

void GatedMlp::forward(Backend& backend, const Workspace& step, const RmsNorm* next) const {
    gate_up_.forward(backend, step.normed, step.activated);
    down_.forward(backend, step.activated, step.residual, next, step.normed);
}

Mixture::Mixture(Weights& weights, const ModelConfig& c, const ShardPlan& p,
                 const std::string& prefix)
    : routing_{static_cast<int>(c.experts_per_token), c.normalize_expert_weights} {
    Names names = c.expert_names == ExpertNames::mixtral ? kMixtralNames : kQwenNames;
    const bool stacked = weights.has(cat(prefix, "mlp.experts.gate_up_proj"));
    if (stacked) names = kQwenNames;
    const std::string block = prefix + names.block;
    router_ = weights.matrix({WeightSlice::row_range(block + "gate.weight", c.num_experts,
                                                     c.hidden_size, 0, c.num_experts)},
                             1);
    for (std::int64_t e = 0; e < c.num_experts; ++e) {
        const ExpertSlices slices =
            stacked ? stacked_slices(c, p, block + "experts.", e)
                    : single_slices(c, p, cat(block, "experts.", e, "."), names);
        gate_up_.push_back(weights.gate_up(slices.gate, slices.up));
        down_.push_back(weights.matrix({slices.down}, p.local_shards));
        experts_.push_back({gate_up_.back().get(), down_.back().get()});
    }
}

void Mixture::forward(Backend& backend, const Workspace& step, const RmsNorm* next) const {
    backend.matmul(step.normed, *router_, {}, step.router_logits);
    backend.experts_add(step.normed, step.router_logits, routing_, experts_, step.residual);
    if (next != nullptr) backend.rms_norm(step.residual, next->weight, next->eps, step.normed);
}

std::uint64_t Mixture::bytes() const {
    std::uint64_t total = router_->bytes();
    for (const auto* matrices : {&gate_up_, &down_})
        for (const std::unique_ptr<Matrix>& matrix : *matrices) total += matrix->bytes();
    return total;
}

}  // namespace muster
