// A mixture of experts. Nothing comes back to the host: who takes which row is found out, and how
// the work is cut is decided, on the device.

#include <algorithm>

#include "cuda/cuda_backend.h"
#include "cuda/experts.h"
#include "cuda/grouped_product.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

/// The matrices of all experts, which are alike.
struct Weights {
    std::vector<const void*> gate_up, down;
    const CudaMatrix* first_gate_up = nullptr;
    const CudaMatrix* first_down = nullptr;
};

bool alike(const CudaMatrix& a, const CudaMatrix& b) {
    return a.n() == b.n() && a.k() == b.k() && a.k_shards() == b.k_shards() &&
           a.dtype() == b.dtype();
}

Weights weights_of(std::span<const Expert> experts) {
    Weights w;
    for (const Expert& expert : experts) {
        const CudaMatrix& gate_up = cuda_matrix(*expert.gate_up, true, "experts_add");
        const CudaMatrix& down = cuda_matrix(*expert.down, false, "experts_add");
        if (w.first_gate_up == nullptr) {
            w.first_gate_up = &gate_up;
            w.first_down = &down;
        }
        if (!alike(gate_up, *w.first_gate_up) || !alike(down, *w.first_down))
            throw InternalError("experts_add: experts of different shapes");
        w.gate_up.push_back(gate_up.data());
        w.down.push_back(down.data());
    }
    return w;
}

}  // namespace

void CudaBackend::experts_add(const Tensor& x, const Tensor& router_logits,
                              const ExpertRouting& routing, std::span<const Expert> experts,
                              const Tensor& residual) {
    if (x.rows() == 0) return;
    const Weights w = weights_of(experts);
    StepLimits limits;
    limits.experts = static_cast<std::int64_t>(experts.size());
    limits.experts_per_row = routing.top_k;
    const bool some = w.first_down != nullptr && routing.top_k > 0;
    if (some) {
        limits.compute = w.first_down->dtype();
        limits.k_shards = w.first_down->k_shards();
        limits.hidden = w.first_down->n();
        limits.intermediate = w.first_down->k();
        limits.rows = x.rows();
    }
    if (!some || x.dtype() != limits.compute || w.first_gate_up->dtype() != limits.compute ||
        x.row_size() != w.first_gate_up->k() || w.first_gate_up->n() != 2 * limits.intermediate ||
        residual.row_size() != limits.hidden || residual.rows() != x.rows() ||
        router_logits.rows() != x.rows() || router_logits.row_size() != limits.experts) {
        throw InternalError(cat("experts_add: x ", to_string(x.shape()), ", logits ",
                                to_string(router_logits.shape()), ", ", experts.size(),
                                " experts of ", limits.intermediate, ", residual ",
                                to_string(residual.shape())));
    }
    const ExpertScratch sizes = expert_scratch(limits, tp_size());
    std::byte* memory = scratch(sizes.total());
    const auto take = [&](std::uint64_t bytes) {
        std::byte* taken = memory;
        memory += block_bytes(bytes);
        return taken;
    };
    Routes routes;
    routes.experts = reinterpret_cast<std::int32_t*>(take(sizes.routes));
    routes.weights = reinterpret_cast<float*>(take(sizes.routes));
    routes.rows_of = reinterpret_cast<std::int32_t*>(take(sizes.routes));
    routes.places = reinterpret_cast<std::int32_t*>(take(sizes.routes));
    routes.offsets = reinterpret_cast<std::int32_t*>(take(sizes.offsets));
    std::byte* activated = take(sizes.activated);
    auto* parts = reinterpret_cast<float*>(take(sizes.parts));

    for (std::int64_t begin = 0; begin < x.rows(); begin += sizes.rows) {
        const std::int64_t rows = std::min(sizes.rows, x.rows() - begin);
        const Tensor some_x = x.row_range(begin, begin + rows);
        route(router_logits.row_range(begin, begin + rows).as<float>(), router_logits.row_stride(),
              rows, static_cast<int>(limits.experts), routing, routes, stream_);
        TileProduct up;
        up.type = limits.compute;
        up.gated = true;
        up.experts = static_cast<int>(limits.experts);
        up.offsets = routes.offsets;
        up.rows_of = routes.rows_of;
        up.positions = rows * routing.top_k;
        up.n = limits.intermediate;
        up.k = x.row_size();
        up.x = some_x.data();
        up.x_stride = x.row_stride();
        up.w_stride = x.row_size();
        up.out = activated;
        up.out_stride = limits.intermediate;
        const ExpertTiles tiles = expert_tiles(up.positions, up.experts);
        grouped_product(up, w.gate_up, tiles, stream_);

        TileProduct down;
        down.type = limits.compute;
        down.experts = up.experts;
        down.shards = limits.k_shards;
        down.offsets = routes.offsets;
        down.positions = up.positions;
        down.n = limits.hidden;
        down.k = limits.intermediate / limits.k_shards;
        down.x = activated;
        down.x_stride = down.w_stride = limits.intermediate;
        down.out = parts;
        down.out_stride = limits.hidden;
        down.out_shard = down.positions * limits.hidden;
        grouped_product(down, w.down, tiles, stream_);

        add_routed(sizes.sums, memory, parts, limits, routes, rows,
                   residual.row_range(begin, begin + rows));
    }
}

void CudaBackend::add_routed(const SumScratch& sizes, std::byte* memory, const float* parts,
                             const StepLimits& limits, const Routes& routes, std::int64_t rows,
                             const Tensor& residual) {
    ExpertSums s;
    s.parts = parts;
    s.top_k = static_cast<int>(limits.experts_per_row);
    s.part_shard = rows * s.top_k * limits.hidden;
    s.shards = limits.k_shards;
    s.n = limits.hidden;
    if (s.shards == 1 && !copies_) {
        s.rows = rows;
        s.add = true;
        s.out = residual.as<float>();
        s.out_stride = residual.row_stride();
        add_experts(s, routes, stream_);
        return;
    }
    s.out = reinterpret_cast<float*>(sizes.parts > 0 ? memory : memory + block_bytes(sizes.parts));
    s.out_stride = s.n;
    for (; s.begin < rows; s.begin += sizes.rows) {
        s.rows = std::min(sizes.rows, rows - s.begin);
        s.out_shard = s.rows * s.n;
        add_experts(s, routes, stream_);
        const Fold shards{s.out, s.out_shard, s.shards};
        const Tensor to = residual.row_range(s.begin, s.begin + s.rows);
        if (copies_)
            add_over_group(sizes, memory, shards, {{}, to, nullptr, {}});
        else
            fold(shards, 0, s.out_shard, s.n, nullptr, true, to.as<float>(), to.row_stride(),
                 stream_);
    }
}

}  // namespace muster::cuda
