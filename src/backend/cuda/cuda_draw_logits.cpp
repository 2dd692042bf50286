// Tokens drawn from rows, one from each block of the vocabulary: the slabs of score_vocab, so the
// products are those that scores are made of.

#include <algorithm>

#include "cuda/cuda_backend.h"
#include "cuda/draw_logits.h"
#include "draw_runs.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

/// Where the parts of the scratch memory begin.
struct DrawMemory {
    DrawMemory(std::byte* memory, const DrawScratch& sizes) {
        logits = reinterpret_cast<float*>(memory);
        memory += block_bytes(sizes.logits);
        draws = reinterpret_cast<LogitDraw*>(memory);
        memory += block_bytes(sizes.draws);
        blocks = reinterpret_cast<BlockDraw*>(memory);
    }
    float* logits;
    LogitDraw* draws;
    BlockDraw* blocks;
};

}  // namespace

void CudaBackend::draw_logits(const Tensor& x, const Matrix& matrix, std::int64_t vocab_begin,
                              std::int64_t vocab_real, int shards, std::span<const LogitDraw> draws,
                              std::span<BlockDraw> blocks) {
    const auto& w = dynamic_cast<const CudaMatrix&>(matrix);
    const std::int64_t shard_size = shards > 0 ? w.n() / shards : 0,
                       per_draw = shards * draw_blocks(shard_size);
    if (shards < 1 || w.n() % shards != 0 || shard_size % kVocabShardUnit != 0 || w.gated() ||
        w.k_shards() != 1 || x.row_size() != w.k() || x.dtype() != w.dtype() ||
        vocab_real > w.n() || !valid_draws(draws, x.rows()) ||
        blocks.size() != draws.size() * static_cast<std::size_t>(per_draw)) {
        throw InternalError(cat("draw_logits: ", draws.size(), " draws from ", x.rows(),
                                " rows of ", w.n(), " logits in ", shards, " shards into ",
                                blocks.size(), " blocks"));
    }
    const DrawScratch sizes = draw_scratch(x.rows(), w.n(), shards);
    const DrawMemory memory(scratch(sizes.total()), sizes);
    std::vector<LogitDraw> local;
    const auto run = [&](std::size_t first, std::span<const LogitDraw> some, std::int64_t row_begin,
                         std::int64_t rows) {
        local.assign(some.begin(), some.end());
        for (LogitDraw& draw : local) draw.row -= static_cast<std::int32_t>(row_begin);
        staging_.upload(memory.draws, local.data(), local.size() * sizeof(LogitDraw));
        BlockDraw* out = memory.blocks;
        for (int shard = 0; shard < shards; ++shard) {
            for (std::int64_t slab = 0; slab < shard_size; slab += sizes.columns, ++out) {
                const std::int64_t begin = shard * shard_size + slab,
                                   width = std::min(sizes.columns, shard_size - slab),
                                   real = std::clamp<std::int64_t>(vocab_real - begin, 0, width);
                if (real > 0) multiply_slab(x, w, row_begin, rows, begin, width, memory.logits);
                draw_slab(memory.logits, width, real,
                          static_cast<std::int32_t>(vocab_begin + begin), memory.draws,
                          static_cast<std::int64_t>(local.size()), out, per_draw, stream_);
            }
        }
        const std::size_t found = local.size() * static_cast<std::size_t>(per_draw);
        staging_.download(blocks.data() + first * static_cast<std::size_t>(per_draw), memory.blocks,
                          found * sizeof(BlockDraw));
    };
    for_draw_runs(draws, sizes.rows, static_cast<std::size_t>(kMostDraws), run);
}

}  // namespace muster::cuda
