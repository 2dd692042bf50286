#pragma once
// The backend of the processor itself. Memory is host memory; every operation runs on up to
// `threads` threads and gives the same bits on any number of them and with any kernel set.

#include "cpu/cpu_matrix.h"
#include "cpu/cpu_product.h"
#include "cpu/expert_rows.h"
#include "cpu/kernels.h"
#include "cpu/scratch.h"
#include "muster/backend/backend.h"
#include "muster/mpi/node_exchange.h"

namespace muster::cpu {

class CpuBackend : public Backend {
 public:
    CpuBackend(const CpuOptions& options, const Communicator& group, Isa isa);

    std::string description() const override;

    Tensor allocate(DType dtype, const Shape& shape) override;
    void copy_from_host(const Tensor& to, const void* from) override;
    void copy_to_host(void* to, const Tensor& from) override;
    std::unique_ptr<Matrix> load_matrix(DType compute, const std::vector<MatrixPart>& parts,
                                        int k_shards) override;
    std::unique_ptr<Matrix> load_gate_up(DType compute, const MatrixPart& gate,
                                         const MatrixPart& up) override;
    Tensor load_table(const StoredTensor& tensor) override;
    Tensor load_vector(const StoredTensor& tensor, std::int64_t begin, std::int64_t end) override;

    void embed(const Tensor& table, std::span<const std::int32_t> ids, const Tensor& out) override;
    void rms_norm(const Tensor& x, const Tensor& weight, float eps, const Tensor& out) override;
    void matmul(const Tensor& x, const Matrix& w, const Tensor& bias, const Tensor& y) override;
    void matmul_add(const Tensor& x, const Matrix& w, const Tensor& bias,
                    const Tensor& residual) override;
    void matmul_silu_mul(const Tensor& x, const Matrix& w, const Tensor& bias,
                         const Tensor& out) override;
    void norm_heads(const Tensor& x, const RmsNorm& norm, std::int64_t head_dim) override;
    void experts_add(const Tensor& x, const Tensor& router_logits, const ExpertRouting& routing,
                     std::span<const Expert> experts, const Tensor& residual) override;
    void rope(const Tensor& x, const Tensor& cos_sin, std::int64_t head_dim) override;
    void store_kv(const Tensor& k, const Tensor& v, std::span<const AttentionSequence> sequences,
                  std::int64_t head_dim, const Tensor& keys, const Tensor& values) override;
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

    int tp_size() const override;
    int tp_rank() const override;
    void all_gather_host(std::span<const std::byte> in, std::span<std::byte> out) override;

 private:
    /// Threads worth waking for `work` elementary operations.
    int threads_for(double work) const;
    /// Threads for a product of `rows` rows by `w`.
    int product_threads(std::int64_t rows, const CpuMatrix& w) const;
    /// Calls write(first row, rows, panel, tile) for every tile of x·wᵀ, on the threads.
    template <typename Write>
    void product(const Tensor& x, const CpuMatrix& w, const Write& write);
    /// residual [rows, n] f32 += tree over the ranks' partial [rows, n] f32 + bias, for products of
    /// `compute` type. Collective over the group.
    void fold_partial(DType compute, const Tensor& partial, const Tensor& bias,
                      const Tensor& residual);
    /// Room for this rank's partial product until fold_partial: where the others will read it, if
    /// it fits there.
    float* room_for_partial(std::int64_t floats);
    /// Elements [begin, end) of residual, counted row by row, += tree over `blocks` [end − begin] +
    /// bias.
    void add_blocks(DType compute, const std::vector<const float*>& blocks, std::int64_t begin,
                    std::int64_t end, const Tensor& bias, const Tensor& residual);
    void copy_floats(const float* from, std::int64_t n, float* to);

    struct ExpertProducts;
    /// For logits [rows, experts].
    ExpertRows sort_by_expert(const Tensor& router_logits, const ExpertRouting& routing);
    /// activated [places, f] compute ← silu(g) · u of the rows [rows, k] of x at their places.
    void gate_up_experts(const Tensor& x, const ExpertRows& rows, std::span<const Expert> experts,
                         const Tensor& activated);
    /// out [rows, n] f32 ← (add ? out : 0) + the experts' sums, folded over this rank's shards.
    void down_experts(const Tensor& activated, const ExpertRows& rows,
                      std::span<const Expert> experts, bool add, const Tensor& out);

    const Communicator& group_;
    const Kernels& kernels_;
    std::unique_ptr<NodeExchange> exchange_;  ///< null: one rank, or MPI carries the blocks
    WeightMemory weights_;
    ThreadPool pool_;
    ProductScratch product_scratch_;
    Scratch attention_scratch_, slab_scratch_, logit_scratch_, partial_scratch_, gathered_scratch_;
    Scratch expert_scratch_, activated_scratch_;
};

/// Floats of scratch that score_vocab takes per thread beside its product.
std::int64_t score_scratch_floats(std::int64_t run_rows);

/// Bytes of scratch that experts_add takes, with its products; 0 without experts.
std::uint64_t experts_scratch_bytes(const CpuWork& work);

/// Rows whose logits top_logits has in memory at once.
std::int64_t top_logits_rows(std::int64_t rows, std::int64_t vocab_rows);

/// make_cpu_backend with a chosen kernel set, for tests.
std::unique_ptr<Backend> make_cpu_backend_with(Isa isa, int threads, const Communicator& group);

}  // namespace muster::cpu
