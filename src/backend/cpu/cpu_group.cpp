// What the ranks of a tensor-parallel group exchange: copies only, folded here in a fixed order.
// Ranks of one node read each other's partial products where they were written; across nodes MPI
// gathers them first.

#include <algorithm>
#include <array>

#include "cpu/cpu_backend.h"
#include "cpu/flush_denormals.h"
#include "cpu/tree.h"
#include "muster/mpi/communicator.h"

namespace muster::cpu {

namespace {

using Blocks = std::vector<const float*>;  // per rank of the group

/// The balanced binary tree over 2, 4 or 8 blocks, as TreeSum builds it.
template <std::size_t Ranks>
float tree_of(const std::array<const float*, Ranks>& blocks, std::size_t first, std::size_t count,
              std::int64_t i) {
    if (count == 1) return blocks[first][i];
    return tree_of(blocks, first, count / 2, i) + tree_of(blocks, first + count / 2, count / 2, i);
}

/// out [n] += tree over blocks [n], and `bias` [n] if there is one.
template <std::size_t Ranks>
void add_tree_of(const Blocks& all, std::int64_t begin, const float* bias, std::int64_t n,
                 float* __restrict out) {
    std::array<const float*, Ranks> blocks;
    for (std::size_t r = 0; r < Ranks; ++r) blocks[r] = all[r] + begin;
    if (bias) {
        for (std::int64_t i = 0; i < n; ++i) out[i] += tree_of(blocks, 0, Ranks, i) + bias[i];
    } else {
        for (std::int64_t i = 0; i < n; ++i) out[i] += tree_of(blocks, 0, Ranks, i);
    }
}

/// The same for any number of ranks.
void add_any_tree(const Blocks& all, std::int64_t begin, const float* bias, std::int64_t n,
                  float* out) {
    constexpr std::int64_t kChunk = 256;
    for (std::int64_t at = 0; at < n; at += kChunk) {
        const std::int64_t columns = std::min(kChunk, n - at);
        TreeSum<kChunk> tree(columns);
        for (const float* block : all) {
            std::copy_n(block + begin + at, columns, tree.next());
            tree.fold();
        }
        const float* sum = tree.result();
        for (std::int64_t i = 0; i < columns; ++i)
            out[at + i] += bias ? sum[i] + bias[at + i] : sum[i];
    }
}

void add_tree(const Blocks& all, std::int64_t begin, const float* bias, std::int64_t n,
              float* out) {
    switch (all.size()) {
        case 2:
            return add_tree_of<2>(all, begin, bias, n, out);
        case 4:
            return add_tree_of<4>(all, begin, bias, n, out);
        case 8:
            return add_tree_of<8>(all, begin, bias, n, out);
        default:
            return add_any_tree(all, begin, bias, n, out);
    }
}

}  // namespace

int CpuBackend::tp_size() const {
    return group_.size();
}
int CpuBackend::tp_rank() const {
    return group_.rank();
}

void CpuBackend::all_gather_host(std::span<const std::byte> in, std::span<std::byte> out) {
    if (exchange_)
        exchange_->all_gather(in, out);
    else
        group_.all_gather(in, out);
}

float* CpuBackend::room_for_partial(std::int64_t floats) {
    if (exchange_ && static_cast<std::size_t>(floats) * sizeof(float) <= exchange_->slot_bytes())
        return reinterpret_cast<float*>(exchange_->own_slot());
    return partial_scratch_.floats(floats);
}

void CpuBackend::add_blocks(DType compute, const Blocks& blocks, std::int64_t begin,
                            std::int64_t end, const Tensor& bias, const Tensor& residual) {
    constexpr std::int64_t kTask = 4096;
    const std::int64_t n = residual.row_size();
    const float* added = bias.empty() ? nullptr : bias.as<float>();
    const auto work = static_cast<double>(2 * (end - begin)) * static_cast<double>(blocks.size());
    const std::int64_t tasks = (end - begin + kTask - 1) / kTask;
    pool_.run(threads_for(work), tasks, [&](std::int64_t task, int) {
        const FlushDenormals flush(compute);  // as in the product that one rank alone computes
        const std::int64_t last = std::min(begin + (task + 1) * kTask, end);
        for (std::int64_t at = begin + task * kTask, next = 0; at < last; at = next) {
            const std::int64_t row = at / n, column = at % n;
            next = std::min(at - column + n, last);
            add_tree(blocks, at - begin, added ? added + column : nullptr, next - at,
                     residual.as<float>() + row * residual.row_stride() + column);
        }
    });
}

void CpuBackend::copy_floats(const float* from, std::int64_t n, float* to) {
    constexpr std::int64_t kTask = 16384;
    pool_.run(threads_for(2.0 * static_cast<double>(n)), (n + kTask - 1) / kTask,
              [&](std::int64_t task, int) {
                  const std::int64_t at = task * kTask;
                  std::copy_n(from + at, std::min(kTask, n - at), to + at);
              });
}

void CpuBackend::fold_partial(DType compute, const Tensor& partial, const Tensor& bias,
                              const Tensor& residual) {
    const std::int64_t total = partial.rows() * partial.row_size();
    const auto* mine = partial.as<float>();
    Blocks blocks(static_cast<std::size_t>(tp_size()));
    if (!exchange_) {
        float* gathered = gathered_scratch_.floats(tp_size() * total);
        const auto floats = static_cast<std::size_t>(total);
        group_.all_gather(std::as_bytes(std::span(mine, floats)),
                          std::as_writable_bytes(std::span(gathered, floats * blocks.size())));
        for (std::size_t r = 0; r < blocks.size(); ++r) blocks[r] = gathered + r * floats;
        add_blocks(compute, blocks, 0, total, bias, residual);
        return;
    }
    const auto piece = static_cast<std::int64_t>(exchange_->slot_bytes() / sizeof(float));
    for (std::int64_t begin = 0; begin < total; begin += piece) {
        const std::int64_t end = std::min(begin + piece, total);
        auto* slot = reinterpret_cast<float*>(exchange_->own_slot());
        if (slot != mine) copy_floats(mine + begin, end - begin, slot);
        exchange_->publish();
        for (int r = 0; r < tp_size(); ++r) {
            blocks[static_cast<std::size_t>(r)] =
                r == tp_rank() ? mine + begin
                               : reinterpret_cast<const float*>(exchange_->piece_of(r));
        }
        add_blocks(compute, blocks, begin, end, bias, residual);
    }
}

}  // namespace muster::cpu
