#pragma once
// What the parts of the emulated device know of each other.

#include <functional>

#include "cuda_runtime.h"

namespace emulator {

/// Runs all blocks of a grid, one after the other.
void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& body);

/// Device memory of all allocations becomes readable and writable, or neither.
void open_memory(bool open);
/// Whether a stream is running its operations; memory is open then.
bool running_operations();

/// What cudaGetLastError will find; returns `error`.
cudaError_t failed(cudaError_t error);

inline constexpr std::size_t kMaxShared = 227 << 10;  ///< of a block, opted in
inline constexpr std::size_t kFreeShared = 48 << 10;  ///< without opting in
inline constexpr std::size_t kDeviceBytes = std::size_t{1} << 30;

}  // namespace emulator
