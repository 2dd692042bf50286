#pragma once
// What compute-sanitizer tells on a device, for kernels that are compiled with GCC's
// -fsanitize=thread: every access to memory is a call (watched_accesses.cpp), and no race library
// answers it but these rules, which are those of a CUDA block.
//
//   * Two accesses of a byte by different threads, at least one of them a write, must be ordered:
//     by a __syncthreads between them, or, within a warp, by __syncwarps. Shuffles, votes and
//     matrix instructions order nothing, nor does anything order blocks of one launch.
//   * Atomic operations do not race with each other.
//   * What an asynchronous copy writes may not be touched until its thread has waited for it; then
//     that thread has written it.
//   * Shared memory must be written before it is read, and kernels keep to what is allocated:
//     their dynamic shared memory and what allocators have handed out when they were launched.
//
// Threads are fibers that run by turns, so all of this is found without luck, in whatever order
// they run, on the paths that a test takes. The first finding ends the process.

#include <cstddef>

#include "parts.h"

namespace emulator::races {

/// Whether this program has kernels that are compiled for it. Nothing else is to be called without.
extern bool on;

void begin_launch(const Launch& launch);
void begin_block();
/// The threads of the block have met at a barrier.
void sync_block();
/// The lanes of `mask` have met at a __syncwarp.
void sync_warp(unsigned warp, unsigned mask);

/// The running thread does this now.
void reads(const void* at, std::size_t bytes);
void writes(const void* at, std::size_t bytes);
void adds(const void* at, std::size_t bytes);  ///< or another atomic operation
/// For its whole warp, as ldmatrix does.
void warp_reads(const void* at, std::size_t bytes);
/// An asynchronous copy of 16 bytes, of which `read` come from `from`.
void starts_copy(const void* to, const void* from, int read);
void ends_copy(const void* to, const void* from, int read);

}  // namespace emulator::races
