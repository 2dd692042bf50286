#include "shard_plan.h"

#include <algorithm>

#include "muster/backend/backend.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

int virtual_shards(const ModelConfig& config) {
    int shards = 8;
    while (config.num_heads % shards != 0 || config.intermediate_size % shards != 0) shards /= 2;
    return shards;
}

std::vector<int> legal_tp_degrees(const ModelConfig& config) {
    std::vector<int> degrees;
    for (int tp = 1; tp <= virtual_shards(config); tp *= 2) {
        if (config.num_kv_heads % tp == 0 || tp % config.num_kv_heads == 0) degrees.push_back(tp);
    }
    return degrees;
}

void check_tp_degree(const ModelConfig& config, int tp) {
    const std::vector<int> legal = legal_tp_degrees(config);
    if (std::find(legal.begin(), legal.end(), tp) != legal.end()) return;
    std::vector<std::string> names;
    for (const int degree : legal) names.push_back(std::to_string(degree));
    throw UserError(cat("tensor parallel degree ", tp, ": this model (", config.architecture, ", ",
                        config.num_heads, " heads, ", config.num_kv_heads,
                        " key-value heads, intermediate size ", config.intermediate_size,
                        ") allows ", join(names, ", ")));
}

ShardPlan::ShardPlan(const ModelConfig& config, int tp_size, int tp_rank, bool tp_invariant)
    : tp(tp_size), rank(tp_rank) {
    check_tp_degree(config, tp);
    virtual_shards = muster::virtual_shards(config);
    local_shards = tp_invariant ? virtual_shards / tp : 1;
    heads = config.num_heads / tp;
    first_head = rank * heads;
    kv_heads = std::max<std::int64_t>(1, config.num_kv_heads / tp);
    first_kv_head = rank * config.num_kv_heads / tp;
    intermediate = config.intermediate_size / tp;
    first_intermediate = rank * intermediate;
    const std::int64_t unit = kVocabShardUnit * virtual_shards;
    const std::int64_t padded = (config.vocab_size + unit - 1) / unit * unit;
    vocab_rows = padded / tp;
    vocab_begin = rank * vocab_rows;
    vocab_real = std::clamp<std::int64_t>(config.vocab_size - vocab_begin, 0, vocab_rows);
}

}  // namespace muster
