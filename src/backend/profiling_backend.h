#pragma once
// See profile.h. Counts are taken from the shapes of the arguments.

#include "muster/backend/profile.h"

namespace muster {

class ProfilingBackend : public Backend {
 public:
    ProfilingBackend(Backend& inner, Profile& profile) : inner_(inner), profile_(profile) {}

    std::string description() const override { return inner_.description(); }

    Tensor allocate(DType dtype, const Shape& shape) override {
        return inner_.allocate(dtype, shape);
    }
    void copy_from_host(const Tensor& to, const void* from) override {
        inner_.copy_from_host(to, from);
    }
    void copy_to_host(void* to, const Tensor& from) override { inner_.copy_to_host(to, from); }
    std::unique_ptr<Matrix> load_matrix(DType compute, const std::vector<MatrixPart>& parts,
                                        int k_shards) override {
        return inner_.load_matrix(compute, parts, k_shards);
    }
    std::unique_ptr<Matrix> load_gate_up(DType compute, const MatrixPart& gate,
                                         const MatrixPart& up) override {
        return inner_.load_gate_up(compute, gate, up);
    }
    Tensor load_table(const StoredTensor& tensor) override { return inner_.load_table(tensor); }
    Tensor load_vector(const StoredTensor& tensor, std::int64_t begin, std::int64_t end) override {
        return inner_.load_vector(tensor, begin, end);
    }

    void prepare(const StepLimits& limits) override { inner_.prepare(limits); }
    /// Never recorded: a replayed step does not call the operations that are to be measured.
    void run_step(const StepInput& step, const std::function<void()>& body) override {
        StepInput measured = step;
        measured.may_record = false;
        inner_.run_step(measured, body);
    }
    void synchronize() override { inner_.synchronize(); }

    void embed(const Tensor& table, std::span<const std::int32_t> ids, const Tensor& out) override;
    void rms_norm(const Tensor& x, const Tensor& weight, float eps, const Tensor& out) override;
    void matmul(const Tensor& x, const Matrix& w, const Tensor& bias, const Tensor& y) override;
    void matmul_add(const Tensor& x, const Matrix& w, const Tensor& bias,
                    const Tensor& residual) override;
    void matmul_silu_mul(const Tensor& x, const Matrix& w, const Tensor& bias,
                         const Tensor& out) override;
    void matmul_add_norm(const Tensor& x, const Matrix& w, const Tensor& bias,
                         const Tensor& residual, const RmsNorm& norm, const Tensor& out) override;
    void norm_heads(const Tensor& x, const RmsNorm& norm, std::int64_t head_dim) override;
    void experts_add(const Tensor& x, const Tensor& router_logits, const ExpertRouting& routing,
                     std::span<const Expert> experts, const Tensor& residual) override;
    void rope(const Tensor& x, const Tensor& cos_sin, std::int64_t head_dim) override;
    void store_kv(const Tensor& k, const Tensor& v, std::span<const AttentionSequence> sequences,
                  std::int64_t head_dim, const Tensor& keys, const Tensor& values) override;
    void prepare_attention(const Tensor& qkv, const RmsNorm& q_norm, const RmsNorm& k_norm,
                           const Tensor& cos_sin, std::span<const AttentionSequence> sequences,
                           std::int64_t head_dim, const Tensor& keys,
                           const Tensor& values) override;
    void copy_kv_pages(std::span<const Tensor> caches, std::span<const PageCopy> copies) override;
    void attention(const Tensor& q, const Tensor& keys, const Tensor& values,
                   std::span<const AttentionSequence> sequences, std::int64_t head_dim, float scale,
                   std::int64_t window, const Tensor& out) override;
    void gather_rows(const Tensor& x, std::span<const std::int32_t> ids,
                     const Tensor& out) override;
    void score_vocab(const Tensor& x, const Matrix& w, std::int64_t vocab_begin,
                     std::int64_t vocab_real, int shards, std::span<const LogitTarget> targets,
                     std::span<VocabStats> stats, std::span<float> target_logits) override;
    void top_logits(const Tensor& x, const Matrix& w, std::int64_t vocab_begin,
                    std::int64_t vocab_real, int shards, int count,
                    std::span<const float> inverse_temperatures, std::span<TopLogit> candidates,
                    std::span<float> maxima, std::span<double> sums) override;
    void draw_logits(const Tensor& x, const Matrix& w, std::int64_t vocab_begin,
                     std::int64_t vocab_real, int shards, std::span<const LogitDraw> draws,
                     std::span<BlockDraw> blocks) override;

    int tp_size() const override { return inner_.tp_size(); }
    int tp_rank() const override { return inner_.tp_rank(); }
    bool tp_invariant() const override { return inner_.tp_invariant(); }
    void all_gather_host(std::span<const std::byte> in, std::span<std::byte> out) override;

 private:
    struct Cost {
        double flops = 0, bytes = 0;
    };
    /// Runs `call` and adds it under `key`.
    template <typename Call>
    void count(OperationKey key, Cost cost, const Call& call);
    /// A product of x with all of w that writes or adds to `out`.
    template <typename Call>
    void count_product(const char* name, const Tensor& x, const Matrix& w, double out_bytes,
                       const Call& call);

    Backend& inner_;
    Profile& profile_;
};

}  // namespace muster
