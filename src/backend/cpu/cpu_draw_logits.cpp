// Tokens drawn from rows, one from each block of the vocabulary. Sums of short pieces, in order,
// lead to the piece that the token is in, and only its exponentials are taken again. Every sum is
// in one order, so the token depends on the row's logits and its draw alone.

#include <algorithm>
#include <array>
#include <limits>

#include "cpu/cpu_backend.h"
#include "cpu/flush_denormals.h"
#include "draw_runs.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cpu {

namespace {

constexpr std::int64_t kPiece = 64;

BlockDraw draw_block(const Kernels& kernels, const float* logits, std::int64_t n,
                     std::int32_t first_id, const LogitDraw& draw) {
    BlockDraw block{0, -std::numeric_limits<float>::infinity(), -1};
    if (n == 0) return block;
    block.max = kernels.max(logits, n);
    const auto sum_of = [&](std::int64_t begin, std::int64_t end) {
        return kernels.exp_sum(logits + begin, end - begin, block.max, draw.inverse_temperature);
    };
    std::array<double, kDrawBlock / kPiece> sums;  // up to the end of each piece
    std::size_t pieces = 0;
    for (std::int64_t begin = 0; begin < n; begin += kPiece)
        sums[pieces++] = block.sum += sum_of(begin, std::min(begin + kPiece, n));

    const double at = draw.uniform * block.sum;
    const auto end = sums.begin() + static_cast<std::ptrdiff_t>(pieces);
    auto piece = std::upper_bound(sums.begin(), end, at);
    // Rounding may leave none: then the last piece that adds anything.
    if (piece == end) piece = std::lower_bound(sums.begin(), end, block.sum);
    double sum = piece == sums.begin() ? 0 : piece[-1];
    const std::int64_t begin = (piece - sums.begin()) * kPiece;
    for (std::int64_t i = begin; i < std::min(begin + kPiece, n); ++i) {
        const double weight = sum_of(i, i + 1);
        if (weight == 0) continue;
        block.token = first_id + static_cast<std::int32_t>(i);
        sum += weight;
        if (at < sum) break;
    }
    return block;
}

}  // namespace

void CpuBackend::draw_logits(const Tensor& x, const Matrix& w, std::int64_t vocab_begin,
                             std::int64_t vocab_real, int shards, std::span<const LogitDraw> draws,
                             std::span<BlockDraw> blocks) {
    const std::int64_t width = w.n(), shard_size = shards > 0 ? width / shards : 0,
                       per_shard = draw_blocks(shard_size), per_draw = per_shard * shards;
    if (shards < 1 || width % shards != 0 || shard_size % kVocabShardUnit != 0 ||
        vocab_real > width || !valid_draws(draws, x.rows()) ||
        blocks.size() != draws.size() * static_cast<std::size_t>(per_draw)) {
        throw InternalError(cat("draw_logits: ", draws.size(), " draws from ", x.rows(),
                                " rows of ", width, " logits in ", shards, " shards into ",
                                blocks.size(), " blocks"));
    }
    const std::int64_t at_once = top_logits_rows(x.rows(), width);
    float* memory = logit_scratch_.floats(at_once * width);
    const auto run = [&](std::size_t first, std::span<const LogitDraw> some, std::int64_t begin,
                         std::int64_t rows) {
        matmul(x.row_range(begin, begin + rows), w, {},
               {memory, DType::f32, {rows, width}, nullptr});
        const auto draw_one = [&](std::int64_t task, int) {
            const FlushDenormals flush(x.dtype());
            const LogitDraw& draw = some[static_cast<std::size_t>(task / per_draw)];
            const std::int64_t shard = task % per_draw / per_shard,
                               start = shard * shard_size + task % per_shard * kDrawBlock,
                               stop = std::min(
                                   {start + kDrawBlock, (shard + 1) * shard_size, vocab_real});
            blocks[first * static_cast<std::size_t>(per_draw) + static_cast<std::size_t>(task)] =
                draw_block(kernels_, memory + (draw.row - begin) * width + start,
                           std::max<std::int64_t>(stop - start, 0),
                           static_cast<std::int32_t>(vocab_begin + start), draw);
        };
        const auto count = static_cast<std::int64_t>(some.size());
        pool_.run(threads_for(static_cast<double>(count * width)), count * per_draw, draw_one);
    };
    for_draw_runs(draws, at_once, draws.size(), run);
}

}  // namespace muster::cpu
