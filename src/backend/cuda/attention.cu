#include "cuda/attention.h"

#include <algorithm>

#include "cuda/attention_launch.cuh"
#include "muster/backend/cuda.h"

namespace muster::cuda {
namespace {

constexpr std::int64_t kRunKeys = std::int64_t{kSplitPages} * kPageKeys;
/// Up to so many heads of rows a call is split by runs: enough blocks for any device without it
/// beyond, and scratch memory stays small.
constexpr std::int64_t kSplitHeads = 8192;
constexpr float kLog2E = 1.4426950408889634f;

std::int64_t num_runs(std::int64_t context) {
    return (context + kRunKeys - 1) / kRunKeys;
}

void require(bool ok, const char* what) {
    if (!ok) throw InternalError(std::string("attention: ") + what);
}

}  // namespace

std::uint64_t attention_scratch_bytes(std::int64_t rows, std::int64_t heads, std::int64_t head_dim,
                                      std::int64_t max_context) {
    const std::int64_t runs = num_runs(max_context);
    if (runs <= 1) return 0;
    const std::int64_t all = rows * heads;
    const std::int64_t partials = std::max(std::min(all, kSplitHeads) * runs, all);
    return static_cast<std::uint64_t>(partials * (head_dim + kPartialTail)) * sizeof(float);
}

bool attention_supports(std::int64_t head_dim) {
    return std::find(kCudaHeadDims.begin(), kCudaHeadDims.end(), head_dim) != kCudaHeadDims.end();
}

AttentionLaunch plan_attention(const AttentionCall& call) {
    require(call.kv_heads > 0 && call.heads % call.kv_heads == 0,
            "heads are no multiple of the kv heads");
    require(call.scale > 0 && call.soft_cap >= 0, "the scale is not positive");
    require(reinterpret_cast<std::uintptr_t>(call.q) % 8 == 0 && call.q_stride % 2 == 0,
            "queries are not aligned to 8 bytes");
    require(call.num_sequences <= 65535 && call.kv_heads <= 65535,
            "more sequences or heads than a grid has blocks");
    AttentionLaunch launch{};
    launch.call = call;
    launch.group = call.heads / call.kv_heads;
    const auto group = static_cast<std::uint64_t>(launch.group);
    launch.inverse_group =
        group == 1 ? 0 : static_cast<std::uint32_t>(((std::uint64_t{1} << 32) + group - 1) / group);
    require(static_cast<std::uint64_t>(call.max_rows) * group * group < std::uint64_t{1} << 32,
            "more rows than can be divided among heads");
    launch.runs = static_cast<std::int32_t>(num_runs(call.max_context));
    launch.split = launch.runs > 1 && std::int64_t{call.rows} * call.heads <= kSplitHeads;
    require(launch.runs <= 1 || call.scratch != nullptr, "no scratch memory");
    launch.tanh_scale = call.soft_cap > 0 ? call.scale / call.soft_cap : 0.0f;
    launch.exponent_scale = (call.soft_cap > 0 ? call.soft_cap : call.scale) * kLog2E;
    return launch;
}

void run_attention(AttentionLaunch& launch, cudaStream_t stream) {
    if (launch.call.dtype == DType::bf16)
        attention_bf16(launch, stream);
    else if (launch.call.dtype == DType::f16)
        attention_f16(launch, stream);
    else
        attention_f32(launch, stream);
}

void attention(const AttentionCall& call, cudaStream_t stream) {
    if (call.rows == 0 || call.num_sequences == 0) return;
    AttentionLaunch launch = plan_attention(call);
    run_attention(launch, stream);
}

}  // namespace muster::cuda
