#include "cpu/cpu_backend.h"

#include <algorithm>
#include <cstring>

#include "cpu/instruction_sets.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/mpi/communicator.h"
#include "muster/mpi/host.h"

namespace muster::cpu {

namespace {

std::uint64_t bytes_of(const Tensor& tensor) {
    return static_cast<std::uint64_t>(num_elements(tensor.shape())) * size_of(tensor.dtype());
}

}  // namespace

// What is collective comes before what may fail on one rank alone.
CpuBackend::CpuBackend(const CpuOptions& options, const Communicator& group, Isa isa)
    : group_(group),
      kernels_(kernels_for(isa)),
      exchange_(options.share_memory ? NodeExchange::make(group, {.spin = options.spin}) : nullptr),
      weights_(options.sharers && options.share_memory
                   ? WeightMemory(*options.sharers, options.shared_weight_bytes)
                   : WeightMemory()),
      pool_(options.threads, options.cpus) {}

std::string CpuBackend::description() const {
    return cat("cpu (", kernels_.name, ", ", pool_.threads(),
               pool_.threads() == 1 ? " thread)" : " threads)");
}

int CpuBackend::threads_for(double work) const {
    constexpr double kGrain = 1e5;  // about 5 µs of work, some times what calling a thread costs
    return static_cast<int>(std::clamp(work / kGrain, 1.0, static_cast<double>(pool_.threads())));
}

// --- memory
// ----------------------------------------------------------------------------------------

Tensor CpuBackend::allocate(DType dtype, const Shape& shape) {
    std::uint64_t bytes = size_of(dtype);
    for (const std::int64_t size : shape) {
        if (size < 0 || __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes)) {
            throw InternalError("allocate: impossible shape " + to_string(shape));
        }
    }
    const std::shared_ptr<std::byte> memory = allocate_aligned(bytes);
    return {memory.get(), dtype, shape, memory};
}

void CpuBackend::copy_from_host(const Tensor& to, const void* from) {
    std::memcpy(to.data(), from, bytes_of(to));
}
void CpuBackend::copy_to_host(void* to, const Tensor& from) {
    std::memcpy(to, from.data(), bytes_of(from));
}

std::unique_ptr<Matrix> CpuBackend::load_matrix(DType compute, const std::vector<MatrixPart>& parts,
                                                int k_shards) {
    return std::make_unique<CpuMatrix>(compute, parts, k_shards, kernels_, pool_, weights_);
}

std::unique_ptr<Matrix> CpuBackend::load_gate_up(DType compute, const MatrixPart& gate,
                                                 const MatrixPart& up) {
    return CpuMatrix::gate_up(compute, gate, up, kernels_, pool_, weights_);
}

Tensor CpuBackend::load_table(const StoredTensor& tensor) {
    const DType dtype = float_dtype_of(tensor);
    if (reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % size_of(dtype) == 0) {
        // The mapped file itself. Tensor has no read-only form; no operation writes to a table.
        return {const_cast<std::byte*>(tensor.bytes.data()), dtype, tensor.shape, nullptr};
    }
    Tensor copy = allocate(dtype, tensor.shape);
    copy_from_host(copy, tensor.bytes.data());
    return copy;
}

Tensor CpuBackend::load_vector(const StoredTensor& tensor, std::int64_t begin, std::int64_t end) {
    const DType dtype = float_dtype_of(tensor);
    if (tensor.shape.size() != 1 || begin < 0 || begin > end || end > tensor.shape[0]) {
        throw InternalError(cat("load_vector: elements [", begin, ", ", end, ") of ", tensor.name,
                                " ", to_string(tensor.shape)));
    }
    Tensor vector = allocate(DType::f32, {end - begin});
    kernels_.to_f32(tensor.bytes.data() + static_cast<std::size_t>(begin) * size_of(dtype), dtype,
                    end - begin, vector.as<float>());
    return vector;
}

std::unique_ptr<Backend> make_cpu_backend_with(Isa isa, int threads, const Communicator& group) {
    CpuOptions options;
    options.threads = threads;
    options.spin = threads * group.size() <= affinity_cores();
    return std::make_unique<CpuBackend>(options, group, isa);
}

}  // namespace muster::cpu

namespace muster {

std::uint64_t cpu_scratch_bytes(const CpuWork& work) {
    const std::int64_t per_thread =
        cpu::score_scratch_floats(cpu::Product::most_run_rows(work.rows));
    const std::uint64_t product =
        cpu::Product::scratch_bytes(work.compute, work.rows, work.k, work.k_shards, work.threads);
    std::uint64_t bytes = std::max(product, cpu::experts_scratch_bytes(work)) +
                          cpu_attention_bytes(work.threads, work.head_dim) +
                          static_cast<std::uint64_t>(work.threads * per_thread) * sizeof(float) +
                          static_cast<std::uint64_t>(
                              cpu::top_logits_rows(work.rows, work.vocab_rows) * work.vocab_rows) *
                              sizeof(float);
    if (work.tp > 1) {
        bytes += static_cast<std::uint64_t>(work.rows * work.n) * sizeof(float);
        bytes += static_cast<std::uint64_t>(work.tp) * 2 * NodeExchange::kSlotBytes;
    }
    return bytes;
}

std::unique_ptr<Backend> make_cpu_backend(int threads, const Communicator& group) {
    return cpu::make_cpu_backend_with(cpu::fastest_isa(), threads, group);
}

std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options, const Communicator& group) {
    const cpu::Isa isa = options.instruction_set.empty() ? cpu::fastest_isa()
                                                         : cpu::isa_named(options.instruction_set);
    return std::make_unique<cpu::CpuBackend>(options, group, isa);
}

}  // namespace muster
