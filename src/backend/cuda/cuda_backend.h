#pragma once
// The CUDA backend of one rank: every operation is enqueued on one stream, and only copies to the
// host wait. See sizes.h for the scratch memory of each operation; all share one block, since one
// operation's is free when the next one on the stream begins.

#include <cuda_runtime.h>

#include <limits>
#include <memory>
#include <vector>

#include "cuda/arena.h"
#include "cuda/elementwise.h"
#include "cuda/experts.h"
#include "cuda/group_copies.h"
#include "cuda/multiplier.h"
#include "cuda/recordings.h"
#include "cuda/sizes.h"
#include "cuda/staging.h"
#include "cuda/step_data.h"
#include "muster/backend/cuda.h"
#include "muster/mpi/communicator.h"
#include "muster/mpi/node_exchange.h"

namespace muster::cuda {

/// Row-major [n, k] in the compute type; gate rows, then up rows, if it is a gated pair.
class CudaMatrix : public Matrix {
 public:
    CudaMatrix(DType dtype, std::int64_t n, std::int64_t k, int k_shards, bool gated,
               std::shared_ptr<void> memory)
        : Matrix(n, k, k_shards), dtype_(dtype), gated_(gated), memory_(std::move(memory)) {}
    std::uint64_t bytes() const override { return cuda_matrix_bytes(dtype_, n(), k(), k_shards()); }
    DType dtype() const { return dtype_; }
    bool gated() const { return gated_; }
    void* data() const { return memory_.get(); }

 private:
    DType dtype_;
    bool gated_;
    std::shared_ptr<void> memory_;
};

/// Throws InternalError unless the matrix was loaded for products of this kind.
const CudaMatrix& cuda_matrix(const Matrix& w, bool gated, const char* operation);

/// A stream that ends with its owner, unless the device is lost.
class Stream {
 public:
    Stream();
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    operator cudaStream_t() const { return stream_; }

 private:
    cudaStream_t stream_ = nullptr;
};

/// Where a sum goes: residual [rows, n] f32 += sum + bias, and then, unless `norm` is null, out
/// [rows, n] ← the norm of residual.
struct SumTarget {
    Tensor bias;  ///< [n] f32 or empty
    Tensor residual;
    const RmsNorm* norm = nullptr;
    Tensor out;
    SumTarget rows(std::int64_t begin, std::int64_t end) const {
        return {bias, residual.row_range(begin, end), norm,
                norm != nullptr ? out.row_range(begin, end) : Tensor()};
    }
};

class CudaBackend final : public Backend {
 public:
    /// The device is set. Collective over the group.
    CudaBackend(const CudaOptions& options, const Communicator& group,
                std::unique_ptr<Arena> arena);
    ~CudaBackend() override;

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

    void prepare(const StepLimits& limits) override;
    void run_step(const StepInput& step, const std::function<void()>& body) override;
    void synchronize() override;

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

    int tp_size() const override { return group_.size(); }
    int tp_rank() const override { return group_.rank(); }
    bool tp_invariant() const override { return options_.tp_invariant; }
    void all_gather_host(std::span<const std::byte> in, std::span<std::byte> out) override;

    // For tests.
    const Arena& arena() const { return *arena_; }
    const Recordings& recordings() const { return recordings_; }
    std::uint64_t scratch_bytes() const { return scratch_bytes_; }

 private:
    /// At least `bytes` of scratch memory, until the next operation.
    std::byte* scratch(std::uint64_t bytes);
    /// `ids` in device memory, until the next operation that has ids.
    const std::int32_t* device_ids(std::span<const std::int32_t> ids);
    /// The sequences of the step that runs, or these, uploaded.
    const StepData& device_sequences(std::span<const AttentionSequence> sequences);
    std::unique_ptr<Matrix> load(DType compute, const std::vector<MatrixPart>& parts, int k_shards,
                                 bool gated);
    /// x · wᵀ for rows [begin, begin + rows) of x into y, all shards behind each other.
    Product product(const Tensor& x, const CudaMatrix& w, std::int64_t begin, std::int64_t rows,
                    float* y, std::int64_t y_stride) const;
    /// Rows [begin, begin + rows) of x times rows [first, first + width) of w, into logits [rows,
    /// width].
    void multiply_slab(const Tensor& x, const CudaMatrix& w, std::int64_t begin, std::int64_t rows,
                       std::int64_t first, std::int64_t width, float* logits);
    /// All shards of rows [begin, begin + rows): [shards, rows, n] at `parts`.
    void multiply_parts(const Tensor& x, const CudaMatrix& w, std::int64_t begin, std::int64_t rows,
                        float* parts);
    /// matmul_add with what follows it.
    void add_product(const Tensor& x, const Matrix& w, const SumTarget& target);
    /// The parts of all ranks, this one's are `parts`, folded into the target. `memory` is a
    /// scratch block of `sizes`.
    void add_over_group(const SumScratch& sizes, std::byte* memory, const Fold& parts,
                        const SumTarget& target);
    /// residual [rows, hidden] += what the rows' experts made: parts [shards, positions, hidden].
    void add_routed(const SumScratch& sizes, std::byte* memory, const float* parts,
                    const StepLimits& limits, const Routes& routes, std::int64_t rows,
                    const Tensor& residual);
    /// The last fold of a sum.
    void add_parts(const Fold& parts, const SumTarget& target);
    /// x += parts + bias if there are parts, then out ← its norm.
    void norm_into(const Fold& parts, const float* bias, const Tensor& x, const RmsNorm& norm,
                   const Tensor& out);
    void reserve_ids(std::int64_t count);
    /// Whether all ranks of the group have recorded a step; "" if this one has. The first that has
    /// not warns. Collective over the group.
    bool all_record(const std::string& problem);
    void prepare_products(const StepLimits& limits);

    const CudaOptions options_;
    const Communicator& group_;
    std::unique_ptr<Arena> arena_;
    Stream stream_;
    std::unique_ptr<GroupCopies> copies_;  ///< null for a group of one
    std::unique_ptr<NodeExchange> exchange_;
    std::unique_ptr<Multiplier> multiplier_;
    Staging staging_;
    StepData step_data_, loose_data_;  ///< of run_step, and of operations outside of it
    std::shared_ptr<void> scratch_, loose_ids_;
    std::uint64_t scratch_bytes_ = 0, loose_ids_bytes_ = 0;
    Recordings recordings_;            ///< ends before what it uses
    const StepInput* step_ = nullptr;  ///< that runs
    std::int32_t step_context_ = 0;    ///< its longest sequence, as kernels are launched with
    /// The longest that will come, as prepare() was told.
    std::int64_t most_context_ = std::numeric_limits<std::int32_t>::max();
    std::vector<Product> shapes_;  ///< of products with the matrices loaded since prepare
};

/// Throws UserError if the device does not exist or has too little memory. Collective over the
/// group.
std::unique_ptr<Backend> make_backend(const CudaOptions& options, const Communicator& group);

}  // namespace muster::cuda
