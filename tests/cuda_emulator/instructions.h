#pragma once
// The instructions of src/backend/cuda/ptx.cuh by themselves, each run by one warp. All pointers
// are to device memory; lane l's registers lie behind each other.

#include <cstdint>

#include "muster/tensor/dtype.h"

namespace muster::test {

/// d [32, 4] += a [32, 4] · b [32, 2].
void run_mma(DType type, const std::uint32_t* a, const std::uint32_t* b, float* d);

/// r [32, 4] ← four matrices out of shared memory, where `elements` [n] lie; lane l points to
/// element starts[l].
void run_ldmatrix(bool transposed, const std::uint16_t* elements, std::int32_t n,
                  const std::int32_t* starts, std::uint32_t* r);

/// Three copies of every lane, a group each: to [3, 32] of 16 bytes ← the first reads[i] bytes at
/// from[i]. The third is waited for when the others have been read.
void run_copies(const void* const* from, const std::int32_t* reads, unsigned char* to);

/// y [32] ← 2^x.
void run_exp2(const float* x, float* y);

/// pairs [32] ← x[l], x[32 + l].
void run_pack_pair(DType type, const float* x, std::uint32_t* pairs);

}  // namespace muster::test
