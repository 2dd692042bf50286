#pragma once
// The device operations that a forward pass is made of. Sizes are local to this rank unless a name
// says global. Activations between operations are f32 ("residual stream"); the input of every
// matrix product is rounded to the compute type, products accumulate in f32.
//
// Order of additions, the same in every backend, batch and thread count (docs/determinism.md):
//   * a matrix product adds over k ascending within one virtual shard, by fused multiply-add; in
//     bf16 by pairs, the odd element of a pair first, denormals flushed;
//   * virtual shards are folded by a balanced binary tree over the shard index;
//   * attention adds over keys in ascending position order, in blocks of kKvPageTokens positions
//     that its running maximum is taken over;
//   * reductions over a vector (norms) use one fixed order;
//   * experts of a row are added in ascending order, each times its weight by fused multiply-add,
//     within one virtual shard, before the shards are folded.
// A row's result never depends on which other rows are in the call.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "muster/tensor/checkpoint.h"
#include "muster/tensor/tensor.h"

namespace muster {

class Communicator;

/// A weight matrix [n, k] in whatever layout the backend computes with.
class Matrix {
 public:
    virtual ~Matrix() = default;
    std::int64_t n() const { return n_; }
    std::int64_t k() const { return k_; }
    /// Local virtual shards of k; 1 unless the matrix is row-parallel.
    int k_shards() const { return k_shards_; }
    /// Bytes that this matrix holds in memory of its own.
    virtual std::uint64_t bytes() const = 0;

 protected:
    Matrix(std::int64_t n, std::int64_t k, int k_shards) : n_(n), k_(k), k_shards_(k_shards) {}

 private:
    std::int64_t n_, k_;
    int k_shards_;
};

/// Rows [row_begin, row_end) × columns [column_begin, column_end) of a stored [out, in] tensor;
/// without a tensor, zeros.
struct MatrixPart {
    const StoredTensor* tensor = nullptr;
    std::int64_t row_begin = 0, row_end = 0;
    std::int64_t column_begin = 0, column_end = 0;
};

/// The rows of one sequence within a step, and where its keys and values live.
struct AttentionSequence {
    std::int32_t first_row = 0;       ///< its first row in the packed step
    std::int32_t num_rows = 0;        ///< new tokens in this step
    std::int32_t first_position = 0;  ///< position of the first row = tokens already cached
    /// Page ids covering positions [0, first_position + num_rows).
    std::span<const std::int32_t> pages;
};

/// A page of keys and values to be copied onto another one.
struct PageCopy {
    std::int32_t from = 0, to = 0;
};

/// A logit asked for besides the log-sum-exp: row of `x`, global vocabulary id.
struct LogitTarget {
    std::int32_t row = 0;
    std::int32_t token = 0;
};

/// Log-softmax statistics of one row over one vocabulary shard.
struct VocabStats {
    float max = 0;            ///< largest logit
    float sum = 0;            ///< Σ exp(logit − max)
    std::int32_t argmax = 0;  ///< global id of the largest logit; lowest id on ties
};

/// A token and its logit.
struct TopLogit {
    float logit = 0;
    std::int32_t token = -1;  ///< global id; −1: there is none
};

/// A token to be drawn from a row of logits.
struct LogitDraw {
    std::int32_t row = 0;
    float inverse_temperature = 1;  ///< positive
    double uniform = 0;             ///< in [0, 1): which token of a block
};

/// What draw_logits gives of one block of the vocabulary.
struct BlockDraw {
    double sum = 0;           ///< Σ exp((logit − max) · inverse temperature)
    float max = 0;            ///< largest logit; −infinity if the block has no tokens
    std::int32_t token = -1;  ///< global id of the one that is drawn; −1 if there is none
};

/// Ids of a block of draw_logits. Blocks begin with the virtual shards, and their last one may have
/// fewer ids.
inline constexpr std::int64_t kDrawBlock = 16384;
constexpr std::int64_t draw_blocks(std::int64_t shard_rows) {
    return (shard_rows + kDrawBlock - 1) / kDrawBlock;
}

/// Weights [n] f32 and epsilon of an RMSNorm.
struct RmsNorm {
    Tensor weight;
    float eps = 0;
};

/// One expert of a mixture: what matmul_silu_mul and matmul_add take.
struct Expert {
    const Matrix* gate_up = nullptr;
    const Matrix* down = nullptr;
};

/// How a row of router logits becomes experts and weights: softmax over all experts in f32, then
/// the `top_k` largest, the lower index on ties.
struct ExpertRouting {
    int top_k = 1;
    bool normalize = true;  ///< the weights of the chosen ones are divided by their sum
};

/// Most candidates per row that top_logits gives.
inline constexpr int kMaxTopLogits = 256;

/// Tokens per KV page, the same in every backend.
inline constexpr std::int32_t kKvPageTokens = 64;

/// The rows of a virtual vocabulary shard are a multiple of this.
inline constexpr std::int64_t kVocabShardUnit = 32;

/// The rows of a step, for Backend::run_step.
struct StepInput {
    std::span<const std::int32_t> ids;  ///< what the step's embed gets
    std::span<const AttentionSequence> sequences;
    /// Whose step it is: steps with equal `memory` and numbers of rows and sequences do the same
    /// operations on the same tensors, as long as these live.
    std::array<const void*, 2> memory{};
    /// The operations may be recorded when they run and later be replayed without running `body`.
    bool may_record = true;
};

/// The largest calls that a backend will get. Sizes are this rank's.
struct StepLimits {
    DType compute = DType::bf16;
    int k_shards = 1;                      ///< local virtual shards of row-parallel products
    std::int64_t rows = 1;                 ///< of a step
    std::int64_t hidden = 1;               ///< columns of a row-parallel product
    std::int64_t intermediate = 1;         ///< of the gated product
    std::int64_t heads = 1, head_dim = 1;  ///< of attention
    std::int64_t max_context = 1;          ///< longest sequence, in tokens
    std::int64_t vocab_rows = 1;           ///< of the output head
    int vocab_shards = 1;
    std::int64_t experts = 0, experts_per_row = 0;  ///< of a mixture; `intermediate` is one's
};

class Backend {
 public:
    virtual ~Backend() = default;

    /// "cpu (AVX-512, 2 threads)".
    virtual std::string description() const = 0;

    // --- memory ---------------------------------------------------------------------------------
    /// Uninitialised memory, 64-byte aligned, freed with its last handle. Throws SystemError naming
    /// the bytes.
    virtual Tensor allocate(DType dtype, const Shape& shape) = 0;
    virtual void copy_from_host(const Tensor& to, const void* from) = 0;
    virtual void copy_to_host(void* to, const Tensor& from) = 0;
    /// Parts stacked by rows and, if `k_shards` > 1, cut along k into that many equal virtual
    /// shards. Converts to `compute` if the checkpoint stores another float type.
    virtual std::unique_ptr<Matrix> load_matrix(DType compute, const std::vector<MatrixPart>& parts,
                                                int k_shards) = 0;
    /// Gate and up projections [f, k] as one matrix [2f, k] in whatever order matmul_silu_mul wants
    /// its rows; good for that operation only.
    virtual std::unique_ptr<Matrix> load_gate_up(DType compute, const MatrixPart& gate,
                                                 const MatrixPart& up) = 0;
    /// A [rows, columns] look-up table in its stored type; may be the mapped file itself, which
    /// then must outlive it.
    virtual Tensor load_table(const StoredTensor& tensor) = 0;
    /// Elements [begin, end) of a stored 1-D tensor as f32.
    virtual Tensor load_vector(const StoredTensor& tensor, std::int64_t begin,
                               std::int64_t end) = 0;

    // --- steps ----------------------------------------------------------------------------------
    /// All matrices are loaded, and calls will not be larger than this: takes the scratch memory
    /// for them and does what is to be done once. Larger calls work as long as there is memory.
    virtual void prepare(const StepLimits&) {}
    /// Runs `body`, operations of one step that take their ids and sequences from `step`'s own
    /// spans; or has the device do again what it did in an equal step. Collective over the group.
    virtual void run_step(const StepInput&, const std::function<void()>& body) { body(); }
    /// Waits until the operations so far are done. Copies to the host wait by themselves.
    virtual void synchronize() {}

    // --- operations: outputs are the last parameters, shapes in brackets ------------------------
    /// out [rows, hidden] f32 ← table [vocab, hidden] at `ids`.
    virtual void embed(const Tensor& table, std::span<const std::int32_t> ids,
                       const Tensor& out) = 0;
    /// out [rows, hidden] compute ← x [rows, hidden] f32 · rsqrt(mean(x²) + eps), rounded, times
    /// weight [hidden] f32.
    virtual void rms_norm(const Tensor& x, const Tensor& weight, float eps, const Tensor& out) = 0;
    /// y [rows, n] f32 ← x [rows, k] compute · wᵀ, virtual shards of k folded by the tree. `bias`
    /// [n] f32 may be empty.
    virtual void matmul(const Tensor& x, const Matrix& w, const Tensor& bias, const Tensor& y) = 0;
    /// residual [rows, n] f32 += (x [rows, k] compute · wᵀ, folded over the virtual shards of all
    /// ranks of the group by one tree) + bias [n] f32, which may be empty. Collective over the
    /// group.
    virtual void matmul_add(const Tensor& x, const Matrix& w, const Tensor& bias,
                            const Tensor& residual) = 0;
    /// out [rows, f] compute ← silu(g) · u, [g | u] [rows, 2f] = x [rows, k] compute · wᵀ + bias
    /// [2f] f32, which may be empty. `w` comes from load_gate_up.
    virtual void matmul_silu_mul(const Tensor& x, const Matrix& w, const Tensor& bias,
                                 const Tensor& out) = 0;
    /// matmul_add, then out [rows, n] compute ← rms_norm of the residual. Collective over the
    /// group.
    virtual void matmul_add_norm(const Tensor& x, const Matrix& w, const Tensor& bias,
                                 const Tensor& residual, const RmsNorm& norm, const Tensor& out) {
        matmul_add(x, w, bias, residual);
        rms_norm(residual, norm.weight, norm.eps, out);
    }
    /// residual [rows, n] f32 += Σ over a row's experts e, ascending, of weight_e · down_e(silu(g)
    /// · u), [g | u] = gate_up_e(x); x [rows, k] compute, router logits [rows, experts] f32. Within
    /// each virtual shard of `down`; the shards are folded over the group as by matmul_add.
    /// Collective over the group.
    virtual void experts_add(const Tensor& x, const Tensor& router_logits,
                             const ExpertRouting& routing, std::span<const Expert> experts,
                             const Tensor& residual) = 0;
    /// Every head of x [rows, heads·d] f32 in place: x · rsqrt(mean(x²) + eps) · weight [d], not
    /// rounded in between.
    virtual void norm_heads(const Tensor& x, const RmsNorm& norm, std::int64_t head_dim) = 0;
    /// Rotates pairs (i, i + d/2) of every head of x [rows, heads·d] f32 in place.
    /// cos_sin [rows, d] f32 holds d/2 cosines, then d/2 sines.
    virtual void rope(const Tensor& x, const Tensor& cos_sin, std::int64_t head_dim) = 0;
    /// Writes k, v [rows, kv_heads·d] f32 (views allowed) to the pages of keys, values
    /// [pages, kKvPageTokens, kv_heads·d], rounded to their type. How a page is laid out inside is
    /// the backend's affair.
    virtual void store_kv(const Tensor& k, const Tensor& v,
                          std::span<const AttentionSequence> sequences, std::int64_t head_dim,
                          const Tensor& keys, const Tensor& values) = 0;
    /// What a step's q, k and v need before attention, qkv [rows, (heads + 2 · kv_heads)·d] f32 in
    /// this order: norm_heads of q and k unless the weights are empty, rope of q and k in place,
    /// store_kv of k and v. Afterwards only q is of use in qkv.
    virtual void prepare_attention(const Tensor& qkv, const RmsNorm& q_norm, const RmsNorm& k_norm,
                                   const Tensor& cos_sin,
                                   std::span<const AttentionSequence> sequences,
                                   std::int64_t head_dim, const Tensor& keys, const Tensor& values);
    /// In every cache of keys or values, page `to` becomes a copy of page `from`: one copy after
    /// the other, so that a page may be read first and written later.
    virtual void copy_kv_pages(std::span<const Tensor> caches,
                               std::span<const PageCopy> copies) = 0;
    /// Causal attention. q [rows, heads·d] f32 (view allowed) over pages; `window` > 0 keeps the
    /// last `window` keys, self included. out [rows, heads·d] compute. heads = q columns /
    /// head_dim, a multiple of the kv heads.
    virtual void attention(const Tensor& q, const Tensor& keys, const Tensor& values,
                           std::span<const AttentionSequence> sequences, std::int64_t head_dim,
                           float scale, std::int64_t window, const Tensor& out) = 0;
    /// out [ids, h] ← rows `ids` of x [rows, h], same type.
    virtual void gather_rows(const Tensor& x, std::span<const std::int32_t> ids,
                             const Tensor& out) = 0;
    /// For every row of x [rows, hidden] compute and this rank's head w [vocab_local, hidden]
    /// (bias-free, ids from `vocab_begin`, matrix rows from `vocab_real` on are padding): stats
    /// [vocab shards, rows] over the `shards` equal virtual shards of the local vocabulary, each a
    /// multiple of kVocabShardUnit, and the logit of each target owned here (others untouched).
    virtual void score_vocab(const Tensor& x, const Matrix& w, std::int64_t vocab_begin,
                             std::int64_t vocab_real, int shards,
                             std::span<const LogitTarget> targets, std::span<VocabStats> stats,
                             std::span<float> target_logits) = 0;

    /// For every row of x [rows, hidden] compute and this rank's head, both as in score_vocab: the
    /// `count` ≤ kMaxTopLogits largest logits, the lower id first on ties, best first, in
    /// candidates [rows, count] (NaN counts as −infinity); and sums [shards, rows]: Σ exp((logit −
    /// max of the row in that shard) · inverse_temperatures[row]), that maximum in maxima [shards,
    /// rows].
    virtual void top_logits(const Tensor& x, const Matrix& w, std::int64_t vocab_begin,
                            std::int64_t vocab_real, int shards, int count,
                            std::span<const float> inverse_temperatures,
                            std::span<TopLogit> candidates, std::span<float> maxima,
                            std::span<double> sums) = 0;

    /// For each of `draws`, ascending by row, and each block of this rank's head, in order, a token
    /// in proportion to exp(logit · inverse temperature): the first in ascending order at which the
    /// sum of these exceeds uniform · the block's. x, head and shards as in score_vocab; blocks
    /// [draws, shards · draw_blocks(rows of a shard)]. NaN counts as −infinity.
    virtual void draw_logits(const Tensor& x, const Matrix& w, std::int64_t vocab_begin,
                             std::int64_t vocab_real, int shards, std::span<const LogitDraw> draws,
                             std::span<BlockDraw> blocks) = 0;

    // --- the tensor-parallel group: copies only -------------------------------------------------
    virtual int tp_size() const = 0;
    virtual int tp_rank() const = 0;
    /// Whether sums that cross ranks are cut into the model's virtual shards, so that any number of
    /// ranks gives the same bits; else into as many parts as there are ranks.
    virtual bool tp_invariant() const { return true; }
    /// `out` holds tp_size blocks, `in` of every rank in rank order; host memory. Collective over
    /// the group.
    virtual void all_gather_host(std::span<const std::byte> in, std::span<std::byte> out) = 0;
};

/// Bytes that the CPU backend takes for a matrix [n, k] in `compute` with `k_shards` virtual
/// shards.
std::uint64_t cpu_matrix_bytes(DType compute, std::int64_t n, std::int64_t k, int k_shards);

/// Bytes that attention needs while it runs, for any step and context.
std::uint64_t cpu_attention_bytes(int threads, std::int64_t head_dim);

/// What this processor has of "generic", "avx2", "avx512", "avx512-mixed" and "avx512-bf16".
std::vector<std::string> cpu_instruction_sets();

/// The largest calls that a CPU backend will get.
struct CpuWork {
    DType compute = DType::f32;
    int threads = 1, tp = 1, k_shards = 1;  ///< virtual shards of row-parallel products
    std::int64_t rows = 1, k = 1;           ///< of a product
    std::int64_t n = 1;                     ///< of a row-parallel product
    std::int64_t vocab_rows = 1;            ///< of the output head
    std::int64_t head_dim = 1;
    /// Of a mixture, as in StepLimits; 0 experts: none.
    std::int64_t experts = 0, experts_per_row = 0, intermediate = 0;
};
/// Bytes of scratch memory that it takes for them at most, with what the group's ranks exchange.
std::uint64_t cpu_scratch_bytes(const CpuWork& work);

/// How the CPU backend uses its node.
struct CpuOptions {
    int threads = 1;
    std::vector<int> cpus;  ///< thread i stays on cpus[i]; empty: where the kernel puts it
    /// Ranks that wait for each other stay awake for some microseconds. Not for ranks that share
    /// cores.
    bool spin = true;
    /// Ranks of this node, this one included, that will load the same matrices in the same order;
    /// they keep one copy of `shared_weight_bytes` in all, and none may compute before all have
    /// loaded. Null: this rank's copy is its own. Used in make_cpu_backend only.
    const Communicator* sharers = nullptr;
    std::uint64_t shared_weight_bytes = 0;
    /// Ranks of one node exchange and share through common memory, where the system allows it.
    bool share_memory = true;
    std::string instruction_set;  ///< one of cpu_instruction_sets(); "": the fastest
};

/// The CPU backend of this rank; `group` is the tensor-parallel group and must outlive it.
/// Collective over the group and over the sharers.
std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options, const Communicator& group);
/// The same on `threads` threads and with the other options as they fit this group.
std::unique_ptr<Backend> make_cpu_backend(int threads, const Communicator& group);

}  // namespace muster
