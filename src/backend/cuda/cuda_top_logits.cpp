// The best logits of rows, for sampling, by the slabs of score_vocab: a row's best so far and its
// sums stay on the device until the last slab.

#include <algorithm>

#include "cuda/best_logits.h"
#include "cuda/cuda_backend.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

/// Where the parts of the scratch memory begin.
struct BestMemory {
    BestMemory(std::byte* memory, const BestScratch& sizes) {
        logits = reinterpret_cast<float*>(memory);
        memory += block_bytes(sizes.logits);
        best = reinterpret_cast<TopLogit*>(memory);
        memory += block_bytes(sizes.best);
        sums = reinterpret_cast<ScaledSum*>(memory);
        memory += block_bytes(sizes.sums);
        inverse_temperatures = reinterpret_cast<float*>(memory);
    }
    float* logits;
    TopLogit* best;
    ScaledSum* sums;
    float* inverse_temperatures;
};
static_assert(sizeof(ScaledSum) == 16 && kSlabColumns <= kBestColumns);

}  // namespace

void CudaBackend::top_logits(const Tensor& x, const Matrix& matrix, std::int64_t vocab_begin,
                             std::int64_t vocab_real, int shards, int count,
                             std::span<const float> inverse_temperatures,
                             std::span<TopLogit> candidates, std::span<float> maxima,
                             std::span<double> sums) {
    const auto& w = dynamic_cast<const CudaMatrix&>(matrix);
    const std::int64_t rows = x.rows(), shard_size = shards > 0 ? w.n() / shards : 0;
    const auto per_shard = static_cast<std::size_t>(rows * shards);
    if (shards < 1 || w.n() % shards != 0 || shard_size % kVocabShardUnit != 0 || w.gated() ||
        w.k_shards() != 1 || x.row_size() != w.k() || x.dtype() != w.dtype() || count < 1 ||
        count > kMaxTopLogits || vocab_real > w.n() || maxima.size() != per_shard ||
        sums.size() != per_shard || inverse_temperatures.size() != static_cast<std::size_t>(rows) ||
        candidates.size() != static_cast<std::size_t>(rows * count)) {
        throw InternalError(cat("top_logits: ", w.n(), " rows in ", shards, " shards, the best ",
                                count, " of ", rows, " rows into ", candidates.size(),
                                " candidates and ", sums.size(), " sums"));
    }
    const BestScratch sizes = best_scratch(rows, w.n(), shards);
    const BestMemory memory(scratch(sizes.total()), sizes);
    std::vector<ScaledSum> got;
    for (std::int64_t row_begin = 0; row_begin < rows; row_begin += sizes.rows) {
        const std::int64_t n = std::min(sizes.rows, rows - row_begin);
        staging_.upload(memory.inverse_temperatures, inverse_temperatures.data() + row_begin,
                        static_cast<std::size_t>(n) * sizeof(float));
        for (int shard = 0; shard < shards; ++shard) {
            for (std::int64_t slab = 0; slab < shard_size; slab += sizes.columns) {
                const std::int64_t begin = shard * shard_size + slab,
                                   width = std::min(sizes.columns, shard_size - slab),
                                   real = std::clamp<std::int64_t>(vocab_real - begin, 0, width);
                if (real == 0 && slab > 0) continue;  // nothing is added to what there is
                if (real > 0) multiply_slab(x, w, row_begin, n, begin, width, memory.logits);
                append_best(memory.logits, width, n, real,
                            static_cast<std::int32_t>(vocab_begin + begin), begin == 0, slab == 0,
                            count, memory.inverse_temperatures, memory.best,
                            memory.sums + shard * n, stream_);
            }
        }
        staging_.download(candidates.data() + row_begin * count, memory.best,
                          static_cast<std::size_t>(n * count) * sizeof(TopLogit));
        got.resize(static_cast<std::size_t>(n * shards));
        staging_.download(got.data(), memory.sums, got.size() * sizeof(ScaledSum));
        for (int shard = 0; shard < shards; ++shard) {
            for (std::int64_t row = 0; row < n; ++row) {
                const ScaledSum& sum = got[static_cast<std::size_t>(shard * n + row)];
                const auto at = static_cast<std::size_t>(shard * rows + row_begin + row);
                maxima[at] = sum.max;
                sums[at] = sum.sum;
            }
        }
    }
}

}  // namespace muster::cuda
