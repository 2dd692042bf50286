#include "profiling_backend.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

namespace muster {

namespace {

double bytes_of(const Tensor& tensor) {
    return static_cast<double>(num_elements(tensor.shape())) *
           static_cast<double>(size_of(tensor.dtype()));
}

double elements_of(const Tensor& tensor) {
    return static_cast<double>(num_elements(tensor.shape()));
}

/// What attention needs of the cache.
struct KeyCounts {
    double seen = 0;  ///< (row, key) pairs
    double read = 0;  ///< distinct keys, per sequence
};

KeyCounts count_keys(std::span<const AttentionSequence> sequences, std::int64_t window) {
    KeyCounts counts;
    for (const AttentionSequence& s : sequences) {
        for (std::int64_t row = 0; row < s.num_rows; ++row) {
            const std::int64_t keys = s.first_position + row + 1;
            counts.seen += static_cast<double>(window > 0 ? std::min(keys, window) : keys);
        }
        const std::int64_t end = std::int64_t{s.first_position} + s.num_rows;
        const std::int64_t first =
            window > 0 ? std::max<std::int64_t>(0, s.first_position - window + 1) : 0;
        counts.read += static_cast<double>(end - first);
    }
    return counts;
}

/// Experts that at least one row goes to. Rows of equal logits at the edge of the choice may go to
/// another one than the backend chooses.
double count_experts(const std::vector<float>& logits, std::size_t experts, std::size_t top_k) {
    std::vector<bool> used(experts);
    std::vector<std::size_t> order(experts);
    for (std::size_t row = 0; row + experts <= logits.size(); row += experts) {
        std::iota(order.begin(), order.end(), std::size_t{0});
        const auto rank = [&](std::size_t e) {
            const float logit = logits[row + e];
            return std::isnan(logit) ? -std::numeric_limits<float>::infinity() : logit;
        };
        std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(top_k) - 1,
                         order.end(),
                         [&](std::size_t a, std::size_t b) { return rank(a) > rank(b); });
        for (std::size_t i = 0; i < top_k; ++i) used[order[i]] = true;
    }
    return static_cast<double>(std::count(used.begin(), used.end(), true));
}

}  // namespace

void Profile::add(const Profile& other) {
    for (const auto& [key, more] : other.operations) {
        OperationTotal& total = operations[key];
        total.calls += more.calls;
        total.seconds += more.seconds;
        total.flops += more.flops;
        total.bytes += more.bytes;
    }
}

double Profile::seconds() const {
    double sum = 0;
    for (const auto& [key, total] : operations) sum += total.seconds;
    return sum;
}

template <typename Call>
void ProfilingBackend::count(OperationKey key, Cost cost, const Call& call) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
    call();
    inner_.synchronize();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    OperationTotal& total = profile_.operations[std::move(key)];
    ++total.calls;
    total.seconds += seconds;
    total.flops += cost.flops;
    total.bytes += cost.bytes;
}

template <typename Call>
void ProfilingBackend::count_product(const char* name, const Tensor& x, const Matrix& w,
                                     double out_bytes, const Call& call) {
    const double weights = static_cast<double>(w.n()) * static_cast<double>(w.k());
    count({name, w.n(), w.k()},
          {2.0 * static_cast<double>(x.rows()) * weights,
           static_cast<double>(w.bytes()) + bytes_of(x) + out_bytes},
          call);
}

void ProfilingBackend::embed(const Tensor& table, std::span<const std::int32_t> ids,
                             const Tensor& out) {
    const double read = elements_of(out) * static_cast<double>(size_of(table.dtype()));
    count({"embed"}, {0, read + bytes_of(out)}, [&] { inner_.embed(table, ids, out); });
}

void ProfilingBackend::rms_norm(const Tensor& x, const Tensor& weight, float eps,
                                const Tensor& out) {
    count({"rms_norm"}, {4.0 * elements_of(x), bytes_of(x) + bytes_of(weight) + bytes_of(out)},
          [&] { inner_.rms_norm(x, weight, eps, out); });
}

void ProfilingBackend::matmul(const Tensor& x, const Matrix& w, const Tensor& bias,
                              const Tensor& y) {
    count_product("matmul", x, w, bytes_of(y), [&] { inner_.matmul(x, w, bias, y); });
}

void ProfilingBackend::matmul_add(const Tensor& x, const Matrix& w, const Tensor& bias,
                                  const Tensor& residual) {
    count_product("matmul_add", x, w, 2 * bytes_of(residual),
                  [&] { inner_.matmul_add(x, w, bias, residual); });
}

void ProfilingBackend::matmul_silu_mul(const Tensor& x, const Matrix& w, const Tensor& bias,
                                       const Tensor& out) {
    count_product("matmul_silu_mul", x, w, bytes_of(out),
                  [&] { inner_.matmul_silu_mul(x, w, bias, out); });
}

void ProfilingBackend::matmul_add_norm(const Tensor& x, const Matrix& w, const Tensor& bias,
                                       const Tensor& residual, const RmsNorm& norm,
                                       const Tensor& out) {
    const double weights = static_cast<double>(w.n()) * static_cast<double>(w.k());
    count({"matmul_add_norm", w.n(), w.k()},
          {2.0 * static_cast<double>(x.rows()) * weights + 4.0 * elements_of(out),
           static_cast<double>(w.bytes()) + bytes_of(x) + 2 * bytes_of(residual) +
               bytes_of(norm.weight) + bytes_of(out)},
          [&] { inner_.matmul_add_norm(x, w, bias, residual, norm, out); });
}

void ProfilingBackend::norm_heads(const Tensor& x, const RmsNorm& norm, std::int64_t head_dim) {
    count({"norm_heads"}, {4.0 * elements_of(x), 2 * bytes_of(x) + bytes_of(norm.weight)},
          [&] { inner_.norm_heads(x, norm, head_dim); });
}

void ProfilingBackend::experts_add(const Tensor& x, const Tensor& router_logits,
                                   const ExpertRouting& routing, std::span<const Expert> experts,
                                   const Tensor& residual) {
    std::vector<float> logits(static_cast<std::size_t>(num_elements(router_logits.shape())));
    inner_.copy_to_host(logits.data(), router_logits);
    const Matrix &gate_up = *experts[0].gate_up, &down = *experts[0].down;
    const double used =
        count_experts(logits, experts.size(), static_cast<std::size_t>(routing.top_k));
    const double weights = static_cast<double>(gate_up.n() * gate_up.k() + down.n() * down.k());
    count({"experts_add", gate_up.n(), gate_up.k()},
          {2.0 * static_cast<double>(x.rows()) * routing.top_k * weights,
           used * static_cast<double>(gate_up.bytes() + down.bytes()) + bytes_of(x) +
               bytes_of(router_logits) + 2 * bytes_of(residual)},
          [&] { inner_.experts_add(x, router_logits, routing, experts, residual); });
}

void ProfilingBackend::rope(const Tensor& x, const Tensor& cos_sin, std::int64_t head_dim) {
    count({"rope"}, {3.0 * elements_of(x), 2 * bytes_of(x) + bytes_of(cos_sin)},
          [&] { inner_.rope(x, cos_sin, head_dim); });
}

void ProfilingBackend::store_kv(const Tensor& k, const Tensor& v,
                                std::span<const AttentionSequence> sequences, std::int64_t head_dim,
                                const Tensor& keys, const Tensor& values) {
    const double written = 2 * elements_of(k) * static_cast<double>(size_of(keys.dtype()));
    count({"store_kv"}, {0, bytes_of(k) + bytes_of(v) + written},
          [&] { inner_.store_kv(k, v, sequences, head_dim, keys, values); });
}

void ProfilingBackend::prepare_attention(const Tensor& qkv, const RmsNorm& q_norm,
                                         const RmsNorm& k_norm, const Tensor& cos_sin,
                                         std::span<const AttentionSequence> sequences,
                                         std::int64_t head_dim, const Tensor& keys,
                                         const Tensor& values) {
    const double rows = static_cast<double>(qkv.rows());
    const double kv = rows * static_cast<double>(keys.row_size() / kKvPageTokens);
    const double q = elements_of(qkv) - 2 * kv;
    const double normed = (q_norm.weight.empty() ? 0 : q) + (k_norm.weight.empty() ? 0 : kv);
    count({"prepare_attention"},
          {4 * normed + 3 * (q + kv), bytes_of(qkv) + q * sizeof(float) + bytes_of(cos_sin) +
                                          2 * kv * static_cast<double>(size_of(keys.dtype()))},
          [&] {
              inner_.prepare_attention(qkv, q_norm, k_norm, cos_sin, sequences, head_dim, keys,
                                       values);
          });
}

void ProfilingBackend::copy_kv_pages(std::span<const Tensor> caches,
                                     std::span<const PageCopy> copies) {
    double page = 0;
    for (const Tensor& cache : caches) page += bytes_of(cache.row_range(0, 1));
    count({"copy_kv_pages"}, {0, 2 * page * static_cast<double>(copies.size())},
          [&] { inner_.copy_kv_pages(caches, copies); });
}

void ProfilingBackend::attention(const Tensor& q, const Tensor& keys, const Tensor& values,
                                 std::span<const AttentionSequence> sequences,
                                 std::int64_t head_dim, float scale, std::int64_t window,
                                 const Tensor& out) {
    const KeyCounts key_counts = count_keys(sequences, window);
    const double width = static_cast<double>(keys.row_size() / kKvPageTokens);
    const double cache = 2 * key_counts.read * width * static_cast<double>(size_of(keys.dtype()));
    // A multiply-add per element of a query for its score, another for the sum of values.
    count({"attention"},
          {4.0 * key_counts.seen * static_cast<double>(q.row_size()),
           bytes_of(q) + cache + bytes_of(out)},
          [&] { inner_.attention(q, keys, values, sequences, head_dim, scale, window, out); });
}

void ProfilingBackend::gather_rows(const Tensor& x, std::span<const std::int32_t> ids,
                                   const Tensor& out) {
    count({"gather_rows"}, {0, 2 * bytes_of(out)}, [&] { inner_.gather_rows(x, ids, out); });
}

void ProfilingBackend::score_vocab(const Tensor& x, const Matrix& w, std::int64_t vocab_begin,
                                   std::int64_t vocab_real, int shards,
                                   std::span<const LogitTarget> targets,
                                   std::span<VocabStats> stats, std::span<float> target_logits) {
    count_product("score_vocab", x, w, static_cast<double>(stats.size_bytes()), [&] {
        inner_.score_vocab(x, w, vocab_begin, vocab_real, shards, targets, stats, target_logits);
    });
}

void ProfilingBackend::top_logits(const Tensor& x, const Matrix& w, std::int64_t vocab_begin,
                                  std::int64_t vocab_real, int shards, int count,
                                  std::span<const float> inverse_temperatures,
                                  std::span<TopLogit> candidates, std::span<float> maxima,
                                  std::span<double> sums) {
    const auto out =
        static_cast<double>(candidates.size_bytes() + maxima.size_bytes() + sums.size_bytes());
    count_product("top_logits", x, w, out, [&] {
        inner_.top_logits(x, w, vocab_begin, vocab_real, shards, count, inverse_temperatures,
                          candidates, maxima, sums);
    });
}

void ProfilingBackend::draw_logits(const Tensor& x, const Matrix& w, std::int64_t vocab_begin,
                                   std::int64_t vocab_real, int shards,
                                   std::span<const LogitDraw> draws, std::span<BlockDraw> blocks) {
    count_product("draw_logits", x, w, static_cast<double>(blocks.size_bytes()), [&] {
        inner_.draw_logits(x, w, vocab_begin, vocab_real, shards, draws, blocks);
    });
}

void ProfilingBackend::all_gather_host(std::span<const std::byte> in, std::span<std::byte> out) {
    count({"all_gather_host"}, {0, static_cast<double>(in.size() + out.size())},
          [&] { inner_.all_gather_host(in, out); });
}

std::unique_ptr<Backend> make_profiling_backend(Backend& inner, Profile& profile) {
    return std::make_unique<ProfilingBackend>(inner, profile);
}

}  // namespace muster
