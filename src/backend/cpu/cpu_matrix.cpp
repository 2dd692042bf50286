#include "cpu/cpu_matrix.h"

#include <algorithm>
#include <cstring>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cpu {

namespace {

std::int64_t part_columns(const MatrixPart& part) {
    return part.column_end - part.column_begin;
}

void check_part(const MatrixPart& part, std::int64_t k) {
    const bool ordered = part.row_begin >= 0 && part.row_begin <= part.row_end &&
                         part.column_begin >= 0 && part.column_begin <= part.column_end;
    bool fits = ordered && part_columns(part) == k;
    if (part.tensor) {
        fits = fits && part.tensor->shape.size() == 2 && part.row_end <= part.tensor->shape[0] &&
               part.column_end <= part.tensor->shape[1];
    }
    if (!fits) {
        throw InternalError(
            cat("load_matrix: rows [", part.row_begin, ", ", part.row_end, ") and columns [",
                part.column_begin, ", ", part.column_end, ") do not fit ",
                part.tensor ? part.tensor->name + " " + to_string(part.tensor->shape)
                            : std::string("a padding part"),
                " or another part's ", k, " columns"));
    }
}

std::int64_t count_rows(const std::vector<MatrixPart>& parts) {
    if (parts.empty()) throw InternalError("load_matrix: no parts");
    std::int64_t rows = 0;
    for (const MatrixPart& part : parts) {
        check_part(part, part_columns(parts[0]));
        rows += part.row_end - part.row_begin;
    }
    return rows;
}

/// One row of a part as f32.
void read_row(const MatrixPart& part, std::int64_t row, const Kernels& kernels, float* out) {
    const std::int64_t k = part_columns(part);
    if (!part.tensor) {
        std::fill(out, out + k, 0.0f);
        return;
    }
    const DType stored = float_dtype_of(*part.tensor);
    const std::int64_t first = (part.row_begin + row) * part.tensor->shape[1] + part.column_begin;
    kernels.to_f32(part.tensor->bytes.data() + static_cast<std::size_t>(first) * size_of(stored),
                   stored, k, out);
}

}  // namespace

std::vector<CpuMatrix::Row> CpuMatrix::stacked(const std::vector<MatrixPart>& parts) {
    std::vector<Row> rows;
    for (const MatrixPart& part : parts) {
        for (std::int64_t row = 0; row < part.row_end - part.row_begin; ++row)
            rows.push_back({&part, row});
    }
    return rows;
}

std::vector<CpuMatrix::Row> CpuMatrix::in_turns(const MatrixPart& gate, const MatrixPart& up) {
    constexpr std::int64_t kHalf = kPanel / 2;
    const std::int64_t f = gate.row_end - gate.row_begin;
    std::vector<Row> rows;
    for (std::int64_t begin = 0; begin < f; begin += kHalf) {
        for (const MatrixPart* part : {&gate, &up}) {
            for (std::int64_t row = begin; row < begin + kHalf; ++row)
                rows.push_back({row < f ? part : nullptr, row});
        }
    }
    return rows;
}

CpuMatrix::CpuMatrix(DType compute, const std::vector<MatrixPart>& parts, int k_shards,
                     const Kernels& kernels, ThreadPool& pool, WeightMemory& memory)
    : CpuMatrix(compute, count_rows(parts), part_columns(parts[0]), k_shards, stacked(parts),
                kernels, pool, memory) {}

std::unique_ptr<CpuMatrix> CpuMatrix::gate_up(DType compute, const MatrixPart& gate,
                                              const MatrixPart& up, const Kernels& kernels,
                                              ThreadPool& pool, WeightMemory& memory) {
    const std::int64_t n = count_rows({gate, up});
    if (up.row_end - up.row_begin != n / 2)
        throw InternalError(cat("load_gate_up: ", n, " rows in unequal halves"));
    return std::unique_ptr<CpuMatrix>(
        new CpuMatrix(compute, n, part_columns(gate), 1, in_turns(gate, up), kernels, pool, memory));
}

CpuMatrix::CpuMatrix(DType compute, std::int64_t n_rows, std::int64_t columns, int shards,
                     const std::vector<Row>& rows, const Kernels& kernels, ThreadPool& pool, WeightMemory& memory)
    : Matrix(n_rows, columns, shards), dtype_(compute) {
    if (shards < 1 || k() % shards != 0) {
        throw InternalError(
            cat("load_matrix: k = ", k(), " cannot be cut into ", shards, " virtual shards"));
    }
    const std::size_t item = size_of(compute);
    size_ = cpu_matrix_bytes(compute, n(), k(), k_shards());
    const WeightMemory::Block block = memory.take(size_);
    data_ = block.data;
    for (const Row& row : rows)  // complain here, not inside a thread
        if (row.part && row.part->tensor) (void)float_dtype_of(*row.part->tensor);

    // Eight rows at a time, so that a panel's cache lines are written in few visits.
    constexpr std::int64_t kGroup = 8;
    const std::int64_t pair = dtype_ == DType::bf16 ? 2 : 1;  // elements of one step
    const std::int64_t padded_k = shard_steps() * pair, row_size = k_shards() * padded_k;
    std::vector<float> wide(static_cast<std::size_t>(pool.threads() * k()));
    std::vector<std::byte> narrow(static_cast<std::size_t>(pool.threads() * kGroup * row_size) *
                                  item);
    const std::int64_t first = panels() * block.part / block.parts,
                       last = panels() * (block.part + 1) / block.parts;
    pool.run(pool.threads(), last - first, [&](std::int64_t task, int thread) {
        const std::int64_t p = first + task;
        float* row_f32 = wide.data() + thread * k();
        std::byte* group =
            narrow.data() + static_cast<std::size_t>(thread * kGroup * row_size) * item;
        std::byte* out = data_.get() + static_cast<std::size_t>(p * kPanel * row_size) * item;
        for (std::int64_t column = 0; column < kPanel; column += kGroup) {
            std::memset(group, 0, static_cast<std::size_t>(kGroup * row_size) * item);
            for (std::int64_t g = 0; g < kGroup; ++g) {
                const auto row = static_cast<std::size_t>(p * kPanel + column + g);
                if (row >= rows.size() || !rows[row].part) continue;
                read_row(*rows[row].part, rows[row].row, kernels, row_f32);
                for (int s = 0; s < k_shards(); ++s) {
                    kernels.from_f32(
                        row_f32 + s * shard_k(), shard_k(), compute,
                        group + static_cast<std::size_t>(g * row_size + s * padded_k) * item);
                }
            }
            // A step of a row is 2 bytes in f16, else 4.
            const auto interleave = [&](auto* to, const auto* from) {
                const std::int64_t steps = row_size / pair;
                for (std::int64_t i = 0; i < steps; ++i) {
                    for (std::int64_t g = 0; g < kGroup; ++g)
                        to[i * kPanel + column + g] = from[g * steps + i];
                }
            };
            if (dtype_ == DType::f16) {
                interleave(reinterpret_cast<std::uint16_t*>(out),
                           reinterpret_cast<const std::uint16_t*>(group));
            } else {
                interleave(reinterpret_cast<std::uint32_t*>(out),
                           reinterpret_cast<const std::uint32_t*>(group));
            }
        }
    });
}

const std::byte* CpuMatrix::panel(std::int64_t p) const {
    return data_.get() + p * k_shards() * shard_steps() * step_bytes();
}

}  // namespace muster::cpu

namespace muster {

std::uint64_t cpu_matrix_bytes(DType compute, std::int64_t n, std::int64_t k, int k_shards) {
    const std::int64_t panels = (n + cpu::kPanel - 1) / cpu::kPanel;
    const std::int64_t step_bytes = compute == DType::f16 ? 2 : 4;
    return static_cast<std::uint64_t>(panels * cpu::kPanel * k_shards *
                                      cpu::steps_of(compute, k / k_shards) * step_bytes);
}

}  // namespace muster
