#pragma once
// What the parts of the emulated device know of each other.

#include <functional>
#include <memory>
#include <vector>

#include "cuda_runtime.h"
#include "tensor_core.h"

namespace emulator {

/// Bytes of device memory that kernels may touch.
struct Extent {
    const unsigned char *begin, *end;
};
using Extents = std::shared_ptr<const std::vector<Extent>>;  ///< ascending
/// What is allocated and, of allocations that are cut up, handed out.
Extents live_extents();

struct Launch {
    const void* kernel;
    dim3 grid, block;
    std::size_t shared_bytes;
    std::function<void()> body;  ///< of a thread
    Extents extents;             ///< null unless races are looked for
};
/// Runs all blocks of a grid, one after the other.
void run_grid(const Launch& launch);

/// A thread of the running block, as far as others have to know it.
struct KernelThread {
    unsigned number = 0;
    static constexpr std::size_t kStackBytes = 256 << 10;
    std::unique_ptr<unsigned char[]> stack{new unsigned char[kStackBytes]};
    bool in_kernel = false;  ///< it has its arguments
};
extern const KernelThread* running_thread;  ///< null outside of kernels

/// What lanes of a warp do together.
enum class Together { sync, exchange, vote, product, matrix };
/// Waits for the live lanes of `mask` in this thread's warp, which have to do the same. By `sync`,
/// what they did so far comes before what they do next.
void meet_warp(unsigned mask, Together what);
/// A word that every lane of the warp can see; lanes write their own.
std::array<std::uint64_t, 32>& warp_words();

/// Device memory of all allocations becomes readable and writable, or neither.
void open_memory(bool open);
/// Whether a stream is running its operations; memory is open then.
bool running_operations();

/// Whether this thread captures a stream. Called where CUDA forbids that: the capture is lost then.
bool breaks_capture();
/// Whether the stream is captured; what is refused there ends the capture.
bool is_captured(cudaStream_t stream);
void lose_capture(cudaStream_t stream);
/// Waits for all work of the stream, as `who` does.
void drain(cudaStream_t stream, const char* who);

/// What cudaGetLastError will find; returns `error`.
cudaError_t failed(cudaError_t error);

/// What differs between the devices that can be emulated: EMULATED_ARCH in the environment, sm_90
/// or sm_80; sm_90 without it.
struct Architecture {
    int major, minor;
    std::size_t max_shared;  ///< of a block, opted in
    TensorCore tensor_core;
};
const Architecture& architecture();

inline constexpr std::size_t kMaxShared = 227 << 10;  ///< of any architecture
inline constexpr std::size_t kFreeShared = 48 << 10;  ///< without opting in
inline constexpr std::size_t kDeviceBytes = std::size_t{1} << 30;
/// Where the device's memory begins.
const unsigned char* device_memory();

}  // namespace emulator
