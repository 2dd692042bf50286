// Plans for devices, made on any machine.

#include "cuda/sizes.h"

#include <algorithm>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace cuda {

std::uint64_t operation_scratch_bytes(const CudaWork& work) {
    SumScratch sums = sum_scratch(work.rows, work.hidden, work.k_shards, work.tp);
    // One shard on one rank is added at once, unless there is a bias.
    sums.parts = std::max(sums.parts, static_cast<std::uint64_t>(sums.rows * work.hidden) * 4);
    const std::uint64_t experts = work.experts > 0 ? expert_scratch(work, work.tp).total() : 0;
    return std::max({gated_bytes(work.rows, work.intermediate), sums.total(), experts,
                     score_scratch(work.rows, work.vocab_rows, work.vocab_shards).total(),
                     best_scratch(work.rows, work.vocab_rows, work.vocab_shards).total(),
                     draw_scratch(work.rows, work.vocab_rows, work.vocab_shards).total(),
                     attention_bytes(work.rows, work.heads, work.head_dim, work.max_context)});
}

}  // namespace cuda

void check_cuda_head_dim(std::int64_t head_dim) {
    if (std::find(kCudaHeadDims.begin(), kCudaHeadDims.end(), head_dim) != kCudaHeadDims.end())
        return;
    std::vector<std::string> sizes;
    for (const std::int64_t size : kCudaHeadDims) sizes.push_back(std::to_string(size));
    throw UserError(cat("head_dim is ", head_dim, "; on a device expected one of ",
                        join(sizes, ", "), ": take --device cpu"));
}

std::uint64_t cuda_matrix_bytes(DType compute, std::int64_t n, std::int64_t k, int) {
    return cuda::block_bytes(static_cast<std::uint64_t>(n * k) * size_of(compute));
}

std::uint64_t cuda_scratch_bytes(const CudaWork& work) {
    using namespace cuda;
    const std::int64_t pages = work.rows * pages_of(work.max_context);
    return block_bytes(operation_scratch_bytes(work)) +
           block_bytes(step_bytes(work.rows, work.rows, pages)) +
           block_bytes(static_cast<std::uint64_t>(work.rows) * sizeof(std::int32_t));
}

}  // namespace muster
