// Keys and values to their pages, and attention over them.

#include "cuda/attention.h"

#include "cuda/cuda_backend.h"
#include "cuda/heads.h"
#include "cuda/rows.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

/// Throws unless keys and values are caches of the same shape for heads of `head_dim`, and the
/// sequences' pages are in them.
void check_cache(const char* operation, const Tensor& keys, const Tensor& values,
                 std::span<const AttentionSequence> sequences, std::int64_t head_dim,
                 std::int64_t rows) {
    bool fits = keys.shape().size() == 3 && keys.shape() == values.shape() &&
                keys.dtype() == values.dtype() && keys.size(1) == kKvPageTokens && head_dim > 0 &&
                head_dim % 2 == 0 && keys.size(2) % head_dim == 0;
    std::int64_t next = 0;
    for (const AttentionSequence& s : sequences) {
        fits = fits && s.first_row == next && s.num_rows > 0 && s.first_position >= 0;
        next += s.num_rows;
        const std::int64_t pages = pages_of(std::int64_t{s.first_position} + s.num_rows);
        fits = fits && static_cast<std::int64_t>(s.pages.size()) >= pages;
        for (const std::int32_t page : s.pages) fits = fits && page >= 0 && page < keys.size(0);
    }
    if (!fits || next != rows) {
        throw InternalError(cat(operation, ": keys ", to_string(keys.shape()), ", values ",
                                to_string(values.shape()), ", heads of ", head_dim, ", ", next,
                                " of ", rows, " rows in sequences whose pages fit"));
    }
}

}  // namespace

void CudaBackend::store_kv(const Tensor& k, const Tensor& v,
                           std::span<const AttentionSequence> sequences, std::int64_t head_dim,
                           const Tensor& keys, const Tensor& values) {
    check_cache("store_kv", keys, values, sequences, head_dim, k.rows());
    if (k.row_size() != keys.size(2) || v.row_size() != keys.size(2) || v.rows() != k.rows())
        throw InternalError("store_kv: rows do not fit the cache");
    cuda::store_kv(keys.dtype(), k.as<float>(), k.row_stride(), v.as<float>(), v.row_stride(),
                   device_sequences(sequences).places(), k.rows(), keys.size(2) / head_dim,
                   head_dim, keys.data(), values.data(), stream_);
}

void CudaBackend::prepare_attention(const Tensor& qkv, const RmsNorm& q_norm, const RmsNorm& k_norm,
                                    const Tensor& cos_sin,
                                    std::span<const AttentionSequence> sequences,
                                    std::int64_t head_dim, const Tensor& keys,
                                    const Tensor& values) {
    check_cache("prepare_attention", keys, values, sequences, head_dim, qkv.rows());
    const std::int64_t q_columns = qkv.row_size() - 2 * keys.size(2);
    const auto norm_fits = [&](const RmsNorm& norm) {
        return norm.weight.empty() || norm.weight.rows() == head_dim;
    };
    if (q_columns <= 0 || q_columns % head_dim != 0 || cos_sin.rows() != qkv.rows() ||
        cos_sin.row_size() != head_dim || !norm_fits(q_norm) || !norm_fits(k_norm)) {
        throw InternalError(cat("prepare_attention: qkv ", to_string(qkv.shape()), ", cos_sin ",
                                to_string(cos_sin.shape()), ", keys ", to_string(keys.shape()),
                                ", heads of ", head_dim));
    }
    HeadsCall call{};
    call.qkv = qkv.as<float>();
    call.qkv_stride = qkv.row_stride();
    call.q_weight = q_norm.weight.empty() ? nullptr : q_norm.weight.as<float>();
    call.k_weight = k_norm.weight.empty() ? nullptr : k_norm.weight.as<float>();
    call.q_eps = q_norm.eps;
    call.k_eps = k_norm.eps;
    call.cos_sin = cos_sin.as<float>();
    call.cos_sin_stride = cos_sin.row_stride();
    call.places = device_sequences(sequences).places();
    call.keys = keys.data();
    call.values = values.data();
    call.rows = qkv.rows();
    call.heads = static_cast<std::int32_t>(q_columns / head_dim);
    call.kv_heads = static_cast<std::int32_t>(keys.size(2) / head_dim);
    call.d = static_cast<std::int32_t>(head_dim);
    if (!cuda::prepare_attention(keys.dtype(), call, stream_))
        Backend::prepare_attention(qkv, q_norm, k_norm, cos_sin, sequences, head_dim, keys, values);
}

void CudaBackend::attention(const Tensor& q, const Tensor& keys, const Tensor& values,
                            std::span<const AttentionSequence> sequences, std::int64_t head_dim,
                            float scale, std::int64_t window, const Tensor& out) {
    check_cache("attention", keys, values, sequences, head_dim, q.rows());
    const std::int64_t heads = q.row_size() / head_dim, kv_heads = keys.size(2) / head_dim;
    if (q.row_size() % head_dim != 0 || heads % kv_heads != 0 || out.shape() != q.shape() ||
        out.dtype() != keys.dtype() || !(scale > 0) || window < 0 ||
        !attention_supports(head_dim)) {
        throw InternalError(cat("attention: q ", to_string(q.shape()), ", ", kv_heads,
                                " key-value heads of ", head_dim, ", out ", to_string(out.shape()),
                                ", scale ", scale, ", window ", window));
    }
    if (sequences.empty()) return;
    const StepData& step = device_sequences(sequences);
    AttentionCall call{};
    call.dtype = keys.dtype();
    call.q = q.as<float>();
    call.q_stride = q.row_stride();
    call.keys = keys.data();
    call.values = values.data();
    call.out = out.data();
    call.sequences = step.sequences();
    call.pages = step.pages();
    call.num_sequences = step.num_sequences();
    call.rows = static_cast<std::int32_t>(q.rows());
    call.max_rows = step.max_rows();
    call.max_context = step_ != nullptr ? step_context_ : step.max_context();
    call.heads = static_cast<std::int32_t>(heads);
    call.kv_heads = static_cast<std::int32_t>(kv_heads);
    call.head_dim = static_cast<std::int32_t>(head_dim);
    call.scale = scale;
    call.window = static_cast<std::int32_t>(window);
    call.scratch = scratch(attention_scratch_bytes(call.rows, heads, head_dim, call.max_context));
    cuda::attention(call, stream_);
}

}  // namespace muster::cuda
