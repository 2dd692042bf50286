#pragma once
// The CUDA backend as the rest of the program sees it. It lives in a shared module of its own,
// libmuster_cuda.so, which is loaded when a device is asked for: a program that never computes on
// one links nothing of CUDA, and the same program runs where no driver is.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "muster/backend/backend.h"

namespace muster {

/// How device memory travels between the ranks of a tensor-parallel group. Values are copied, never
/// added, on the way, so both give the same bits.
enum class DeviceTransport {
    nccl,    ///< NCCL; every rank of the group has a device of its own
    staged,  ///< through host memory and MPI; ranks may share a device
};

/// How one rank uses its device.
struct CudaOptions {
    int ordinal = 0;  ///< among the devices that this process sees
    /// The arena that everything is allocated from, in bytes: taken when the backend is made.
    std::uint64_t memory_bytes = 0;
    DeviceTransport transport = DeviceTransport::nccl;
    /// The longest that a step or the set-up of the group may take before it counts as hung.
    double deadline_seconds = 300;
    /// Steps that only decode are recorded once and replayed.
    bool record_steps = true;
    /// Backend::tp_invariant(): the same bits for any number of ranks, at some cost in speed.
    bool tp_invariant = false;
    /// Tokens of the longest sequence that will come; 0: as many as the model has positions.
    std::int64_t max_context = 0;
};

/// "", or why this node cannot have a CUDA backend: no module, no driver, one that is too old.
/// Loads the module; asks for no device.
std::string cuda_problem();

/// "", or why this process cannot have NCCL, which is needed by groups of DeviceTransport::nccl
/// alone. Loads the module and NCCL; asks for no device.
std::string nccl_problem();

/// The CUDA backend of this rank; `group` is the tensor-parallel group and must outlive it. Throws
/// UserError that names what is missing: the module, the driver, the device, its memory. Collective
/// over the group.
std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options, const Communicator& group);

/// Rates of one device, one value per repeat.
struct CudaCeilings {
    std::string description;        ///< "NVIDIA H200, driver 570.12, cuBLASLt 13.1.0"
    std::vector<double> f32_flops;  ///< per second: products of large matrices, 2 per multiply-add
    std::vector<double> f16_flops;
    std::vector<double> bf16_flops;
    std::vector<double> read_bytes;  ///< per second: a sum over a buffer larger than the caches
    std::vector<double>
        copy_bytes;  ///< per second, read and written counted: a copy of that buffer
    const std::vector<double>& usable_flops(DType dtype) const;
};
/// Takes about a second. Throws as make_cuda_backend.
CudaCeilings measure_cuda_ceilings(int ordinal, int repeats);

/// Head sizes that the CUDA backend has attention kernels for; the small ones are those of tests.
inline constexpr std::array<std::int64_t, 8> kCudaHeadDims = {8, 16, 32, 64, 80, 96, 128, 256};
/// Throws UserError that lists them if `head_dim` is none of them.
void check_cuda_head_dim(std::int64_t head_dim);

/// Bytes that the CUDA backend takes for a matrix [n, k] in `compute` with `k_shards` virtual
/// shards, rounded up as its arena does.
std::uint64_t cuda_matrix_bytes(DType compute, std::int64_t n, std::int64_t k, int k_shards);

/// The largest calls that a CUDA backend will get.
struct CudaWork : StepLimits {
    int tp = 1;
};
/// Bytes of scratch memory on the device for them, with what the group's ranks exchange and what
/// describes a step.
std::uint64_t cuda_scratch_bytes(const CudaWork& work);

}  // namespace muster
