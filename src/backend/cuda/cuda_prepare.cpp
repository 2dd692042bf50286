// What is done once, between loading and the first step.

#include <algorithm>

#include "cuda/attention.h"
#include "cuda/cuda_backend.h"
#include "cuda/tile_product.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

void CudaBackend::prepare(const StepLimits& limits) {
    check_cuda_head_dim(limits.head_dim);
    if (limits.experts > kMaxExperts)
        throw UserError(cat("the model has ", limits.experts,
                            " experts; on a device expected at "
                            "most ",
                            kMaxExperts, ": take --device cpu"));
    CudaWork work;
    static_cast<StepLimits&>(work) = limits;
    work.tp = tp_size();
    if (options_.max_context > 0) work.max_context = options_.max_context;
    scratch(operation_scratch_bytes(work));
    most_context_ = work.max_context;
    step_data_.reserve(limits.rows, limits.rows, limits.rows * pages_of(work.max_context));
    reserve_ids(limits.rows);
    prepare_products(limits);
    shapes_.clear();
}

// Every product that a step can make of the loaded matrices. What a matrix is for can only be told
// by its shape; a product that is never made costs a moment here. The algorithm is chosen for steps
// of the usual size, whatever the size of this run's: another one would have other bits.
void CudaBackend::prepare_products(const StepLimits& limits) {
    constexpr std::int64_t kUsualRows = 8192;  // the default of --step-tokens
    const ScoreScratch score = score_scratch(limits.rows, limits.vocab_rows, limits.vocab_shards);
    // Tried on what the arena has left: keys and values are not allocated yet.
    constexpr std::uint64_t kMost = std::uint64_t{1} << 30;
    const std::uint64_t bytes = std::min(arena_->largest_free(), kMost);
    if (bytes < kBlockBytes) return;
    const std::shared_ptr<void> memory = arena_->allocate(bytes / kBlockBytes * kBlockBytes);
    /// `rows_of`: rows of a call in steps of so many.
    const auto try_out = [&](const Product& shape, const auto& rows_of) {
        multiplier_->prepare(shape, rows_of(kUsualRows), rows_of(limits.rows), memory.get(),
                             bytes / kBlockBytes * kBlockBytes, stream_);
    };
    const auto all = [](std::int64_t rows) { return rows; };
    for (const Product& shape : shapes_) {
        try_out(shape, [&](std::int64_t rows) {
            const auto sum_rows = [&](std::int64_t n, int shards) {
                return sum_scratch(rows, n, shards, tp_size()).rows;
            };
            const auto shards = static_cast<int>(shape.x_stride / shape.k);
            if (shards > 1) return sum_rows(shape.n, shards);
            if (shape.n == 2 * limits.intermediate && shape.k == limits.hidden)
                return std::max(gated_rows(rows, limits.intermediate),
                                sum_rows(limits.hidden, limits.k_shards));
            return rows;
        });
        if (shape.n == limits.hidden && tp_size() == 1 && limits.k_shards == 1) {
            Product added = shape;
            added.accumulate = true;
            try_out(added, all);
        }
        if (shape.n != limits.vocab_rows || shape.k != limits.hidden) continue;
        const std::int64_t shard = shape.n / limits.vocab_shards;
        for (const std::int64_t width :
             {score.columns, shard % std::max<std::int64_t>(score.columns, 1)}) {
            if (width == 0) continue;
            Product slab = shape;
            slab.n = slab.y_stride = width;
            try_out(slab, [](std::int64_t rows) { return std::min(rows, kScoreRows); });
        }
    }
}

}  // namespace muster::cuda
