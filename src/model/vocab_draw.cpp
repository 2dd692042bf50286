// Tokens drawn without logits that travel. Every block of the vocabulary offers one of its tokens,
// drawn in proportion to their weights, and says how much all of its weights are; here a block is
// drawn in proportion to that. So a token comes with its own probability, and the blocks were gone
// through once, before the total was known. A uniform number each for block and token, since the
// token must not depend on how a block was chosen.

#include <algorithm>
#include <limits>

#include "muster/base/portable_exp.h"
#include "vocab_head.h"

namespace muster {

namespace {

/// The token of one of `blocks`: the first at which the sum of their weights, all related to the
/// largest logit, exceeds uniform · total; an empty one never.
std::int32_t choose(std::span<const BlockDraw> blocks, float inverse_temperature, double uniform,
                    std::vector<double>& weights) {
    float max = -std::numeric_limits<float>::infinity();
    for (const BlockDraw& block : blocks) max = std::max(max, block.max);
    weights.clear();
    double total = 0;
    for (const BlockDraw& block : blocks) {
        const double exponent = (static_cast<double>(block.max) - static_cast<double>(max)) *
                                static_cast<double>(inverse_temperature);
        weights.push_back(block.max == max ? block.sum : block.sum * portable_exp(exponent));
        total += weights.back();
    }
    const double at = uniform * total;
    double sum = 0;
    std::int32_t token = -1;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        if (weights[i] == 0) continue;
        token = blocks[i].token;
        sum += weights[i];
        if (at < sum) break;
    }
    return token;
}

}  // namespace

void VocabParallelHead::draw(Backend& backend, const Tensor& hidden,
                             std::span<const TokenDraw> draws,
                             std::vector<std::int32_t>& tokens) const {
    std::vector<LogitDraw> local;
    for (const TokenDraw& draw : draws)
        local.push_back({draw.row, draw.inverse_temperature, draw.token_uniform});
    const auto per_rank = static_cast<std::size_t>(
        plan_.local_shards * draw_blocks(plan_.vocab_rows / plan_.local_shards));
    const auto tp = static_cast<std::size_t>(plan_.tp);
    std::vector<BlockDraw> mine(draws.size() * per_rank), all(mine.size() * tp);
    backend.draw_logits(hidden, *matrix_, plan_.vocab_begin, plan_.vocab_real, plan_.local_shards,
                        local, mine);
    backend.all_gather_host(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)));
    tokens.clear();
    std::vector<BlockDraw> blocks;
    std::vector<double> weights;
    for (std::size_t i = 0; i < draws.size(); ++i) {
        blocks.clear();
        for (std::size_t rank = 0; rank < tp; ++rank) {
            const auto own = std::span(all).subspan(rank * mine.size() + i * per_rank, per_rank);
            blocks.insert(blocks.end(), own.begin(), own.end());
        }
        tokens.push_back(
            choose(blocks, draws[i].inverse_temperature, draws[i].block_uniform, weights));
    }
}

}  // namespace muster
