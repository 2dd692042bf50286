// What the ranks of a tensor-parallel group exchange: copies only, folded here in a fixed order.

#include <algorithm>

#include "cpu/cpu_backend.h"
#include "cpu/tree.h"
#include "muster/mpi/communicator.h"

namespace muster::cpu {

int CpuBackend::tp_size() const {
    return group_.size();
}
int CpuBackend::tp_rank() const {
    return group_.rank();
}

void CpuBackend::all_gather_host(std::span<const std::byte> in, std::span<std::byte> out) {
    group_.all_gather(in, out);
}

void CpuBackend::fold_partial(const Tensor& partial, const Tensor& bias, const Tensor& residual) {
    const std::int64_t rows = partial.rows(), n = partial.row_size(), tp = tp_size();
    float* gathered = gathered_scratch_.floats(tp * rows * n);
    const auto bytes = [](float* begin, std::int64_t floats) {
        return std::span(begin, static_cast<std::size_t>(floats));
    };
    all_gather_host(std::as_bytes(bytes(partial.as<float>(), rows * n)),
                    std::as_writable_bytes(bytes(gathered, tp * rows * n)));
    const float* added = bias.empty() ? nullptr : bias.as<float>();
    const int threads = threads_for(2.0 * static_cast<double>(rows * n * tp));
    pool_.run(threads, rows, [&](std::int64_t r, int) {
        constexpr std::int64_t kChunk = 256;
        float* out = residual.as<float>() + r * residual.row_stride();
        for (std::int64_t begin = 0; begin < n; begin += kChunk) {
            const std::int64_t columns = std::min(kChunk, n - begin);
            TreeSum<kChunk> tree(columns);
            for (std::int64_t rank = 0; rank < tp; ++rank) {
                std::copy_n(gathered + (rank * rows + r) * n + begin, columns, tree.next());
                tree.fold();
            }
            const float* sum = tree.result();
            for (std::int64_t i = 0; i < columns; ++i)
                out[begin + i] += added ? sum[i] + added[begin + i] : sum[i];
        }
    });
}

}  // namespace muster::cpu
