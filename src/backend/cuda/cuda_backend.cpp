#include "cuda/cuda_backend.h"

#include <algorithm>

#include "cuda/check.h"
#include "cuda/wait.h"
#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/text.h"
#include "muster/mpi/agree.h"

namespace muster::cuda {

namespace {

/// The device that this process computes on from now on.
void set_device(int ordinal) {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess) {
        (void)cudaGetLastError();
        throw UserError(cat("CUDA: no device: ", cudaGetErrorString(status),
                            "; expected one: start on a GPU node, or take --device cpu"));
    }
    if (ordinal < 0 || ordinal >= count)
        throw UserError(cat("CUDA: device ", ordinal, " of ", count,
                            " visible; expected one of these: see CUDA_VISIBLE_DEVICES"));
    check(cudaSetDevice(ordinal), "cudaSetDevice");
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
    if (properties.major != 8 && properties.major != 9)
        throw UserError(cat("CUDA: device ", ordinal, " (", properties.name,
                            ") has compute capability ", properties.major, ".", properties.minor,
                            "; this build has kernels for 8.x and 9.0"));
}

std::string device_name() {
    int ordinal = 0;
    check(cudaGetDevice(&ordinal), "cudaGetDevice");
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
    return properties.name;
}

}  // namespace

Stream::Stream() {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
}
Stream::~Stream() {
    if (!device_is_lost()) (void)cudaStreamDestroy(stream_);
}

// What is collective comes before what may fail on one rank alone.
CudaBackend::CudaBackend(const CudaOptions& options, const Communicator& group,
                         std::unique_ptr<Arena> arena)
    : options_(options),
      group_(group),
      arena_(std::move(arena)),
      copies_(make_group_copies(options.transport, group, options.deadline_seconds)),
      exchange_(NodeExchange::make(group)),
      multiplier_(make_multiplier()),
      staging_(stream_, copies_.get(), options.deadline_seconds),
      step_data_(*arena_, staging_),
      loose_data_(*arena_, staging_),
      recordings_(stream_, *arena_,
                  [this](const std::string& problem) { return all_record(problem); }) {}

CudaBackend::~CudaBackend() {
    if (device_is_lost()) return;
    try {
        synchronize();  // kernels may still use what is freed now
        if (group_.is_root())
            detail(cat(recordings_.replays(), " steps were replayed from a recording"));
    } catch (const Error&) {
        // device_is_lost() from now on: nothing that follows waits.
    }
}

std::string CudaBackend::description() const {
    return cat("cuda (", device_name(), ", ", multiplier_->description(),
               copies_ ? ", " + copies_->description() : std::string(), ")");
}

void CudaBackend::synchronize() {
    wait_for(stream_, copies_.get(), options_.deadline_seconds, "a step on the device");
}

std::byte* CudaBackend::scratch(std::uint64_t bytes) {
    if (bytes > scratch_bytes_) {
        if (recordings_.recording())
            throw InternalError("scratch memory is missing while a step is recorded");
        scratch_.reset();
        scratch_bytes_ = 0;
        scratch_ = arena_->allocate(bytes);
        scratch_bytes_ = bytes;
    }
    return static_cast<std::byte*>(scratch_.get());
}

void CudaBackend::all_gather_host(std::span<const std::byte> in, std::span<std::byte> out) {
    if (exchange_)
        exchange_->all_gather(in, out);
    else
        group_.all_gather(in, out);
}

std::unique_ptr<Backend> make_backend(const CudaOptions& options, const Communicator& group) {
    std::unique_ptr<Arena> arena;
    agree(group, "open the device", [&] {
        set_device(options.ordinal);
        arena = std::make_unique<Arena>(options.memory_bytes);
    });
    return std::make_unique<CudaBackend>(options, group, std::move(arena));
}

}  // namespace muster::cuda
