#include "muster/backend/backend.h"

namespace muster {

void Backend::prepare_attention(const Tensor& qkv, const RmsNorm& q_norm, const RmsNorm& k_norm,
                                const Tensor& cos_sin, std::span<const AttentionSequence> sequences,
                                std::int64_t head_dim, const Tensor& keys, const Tensor& values) {
    const std::int64_t kv = keys.row_size() / kKvPageTokens, q = qkv.row_size() - 2 * kv;
    const Tensor k = qkv.column_range(q, q + kv), v = qkv.column_range(q + kv, q + 2 * kv);
    if (!q_norm.weight.empty()) norm_heads(qkv.column_range(0, q), q_norm, head_dim);
    if (!k_norm.weight.empty()) norm_heads(k, k_norm, head_dim);
    rope(qkv.column_range(0, q + kv), cos_sin, head_dim);
    store_kv(k, v, sequences, head_dim, keys, values);
}

}  // namespace muster
