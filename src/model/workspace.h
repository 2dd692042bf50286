#pragma once
// The activations of one step, allocated once for the largest step. The same list of shapes is what
// plan_memory adds up.

#include <cstdint>

#include "muster/backend/backend.h"
#include "shard_plan.h"

namespace muster {

struct Workspace {
    Tensor residual;       ///< [rows, hidden] f32
    Tensor normed;         ///< [rows, hidden] compute
    Tensor qkv;            ///< [rows, (heads + 2 · kv_heads) · head_dim] f32, local
    Tensor attended;       ///< [rows, heads · head_dim] compute, local
    Tensor activated;      ///< [rows, intermediate] compute, local; empty with a mixture
    Tensor router_logits;  ///< [rows, experts] f32; empty without a mixture
    Tensor cos_sin;        ///< [rows, head_dim] f32
    Tensor outputs;        ///< [rows, hidden] f32
    Tensor hidden;         ///< [rows, hidden] compute

    /// Calls visit(member, dtype, shape) for every tensor of a workspace of `rows` rows.
    template <typename Visit>
    static void for_each(const ModelConfig& config, const ShardPlan& plan, std::int64_t rows,
                         const Visit& visit);
    /// The same for the first `rows` rows of a step.
    static Workspace allocate(Backend& backend, const ModelConfig& config, const ShardPlan& plan,
                              std::int64_t rows);
    /// Views of the first `rows` rows.
    Workspace first_rows(std::int64_t rows) const;
};

template <typename Visit>
void Workspace::for_each(const ModelConfig& config, const ShardPlan& plan, std::int64_t rows,
                         const Visit& visit) {
    const std::int64_t q = plan.heads * config.head_dim, kv = plan.kv_heads * config.head_dim;
    visit(&Workspace::residual, DType::f32, Shape{rows, config.hidden_size});
    visit(&Workspace::normed, config.dtype, Shape{rows, config.hidden_size});
    visit(&Workspace::qkv, DType::f32, Shape{rows, q + 2 * kv});
    visit(&Workspace::attended, config.dtype, Shape{rows, q});
    if (config.num_experts > 0)
        visit(&Workspace::router_logits, DType::f32, Shape{rows, config.num_experts});
    else
        visit(&Workspace::activated, config.dtype, Shape{rows, plan.intermediate});
    visit(&Workspace::cos_sin, DType::f32, Shape{rows, config.head_dim});
    visit(&Workspace::outputs, DType::f32, Shape{rows, config.hidden_size});
    visit(&Workspace::hidden, config.dtype, Shape{rows, config.hidden_size});
}

}  // namespace muster
