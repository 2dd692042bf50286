#pragma once
// Weights packed for the tile kernels: panels of kPanel output columns, each [steps, kPanel] in the
// compute type ([steps, kPanel, 2] in bf16), virtual shards of k one after another; the last panel
// is filled up with zeros, and so is the last pair of a shard with an odd number of bf16.

#include <cstddef>
#include <vector>

#include "cpu/cpu_memory.h"
#include "cpu/kernels.h"
#include "cpu/thread_pool.h"
#include "muster/backend/backend.h"

namespace muster::cpu {

class CpuMatrix : public Matrix {
 public:
    /// Reads and packs `parts` on the threads of `pool` to a block of `memory`; other ranks may pack
    /// parts of it. Throws UserError for element types that
    /// are not read, InternalError for parts that do not fit their tensors.
    CpuMatrix(DType compute, const std::vector<MatrixPart>& parts, int k_shards,
              const Kernels& kernels, ThreadPool& pool, WeightMemory& memory);

    /// Gate and up rows in turns of half a panel, so that a tile holds both of its outputs.
    static std::unique_ptr<CpuMatrix> gate_up(DType compute, const MatrixPart& gate,
                                              const MatrixPart& up, const Kernels& kernels,
                                              ThreadPool& pool, WeightMemory& memory);

    std::uint64_t bytes() const override { return size_; }
    DType dtype() const { return dtype_; }
    std::int64_t panels() const { return (n() + kPanel - 1) / kPanel; }
    /// k of one virtual shard, and its steps in a tile.
    std::int64_t shard_k() const { return k() / k_shards(); }
    std::int64_t shard_steps() const { return steps_of(dtype_, shard_k()); }
    /// Bytes of one step of a panel.
    std::int64_t step_bytes() const { return dtype_ == DType::f16 ? 2 * kPanel : 4 * kPanel; }
    /// Panel `p`, [k_shards, shard_steps, kPanel].
    const std::byte* panel(std::int64_t p) const;

 private:
    /// A row of a part; rows without a part are zeros.
    struct Row {
        const MatrixPart* part;
        std::int64_t row;
    };
    CpuMatrix(DType compute, std::int64_t n, std::int64_t k, int k_shards,
              const std::vector<Row>& rows, const Kernels& kernels, ThreadPool& pool, WeightMemory& memory);
    static std::vector<Row> stacked(const std::vector<MatrixPart>& parts);
    static std::vector<Row> in_turns(const MatrixPart& gate, const MatrixPart& up);

    DType dtype_;
    std::uint64_t size_;
    std::shared_ptr<std::byte> data_;
};

}  // namespace muster::cpu
