#pragma once
// The instructions of src/backend/cuda/ptx.cuh for the emulated device, with the register layouts
// of the PTX ISA (sections "mma.m16n8k16", "ldmatrix").

#include "cuda_bf16.h"
#include "cuda_fp16.h"

namespace emulator {

/// d [16, 8] f32 += a [16, 16] · b [16, 8] of bf16 or f16 bits, fragments as in mma.m16n8k16.
template <float (*kWiden)(std::uint16_t)>
void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]);
extern template void mma_m16n8k16<muster::from_bf16>(float (&)[4], const std::uint32_t (&)[4],
                                                     const std::uint32_t (&)[2]);
extern template void mma_m16n8k16<muster::from_f16>(float (&)[4], const std::uint32_t (&)[4],
                                                    const std::uint32_t (&)[2]);

/// ldmatrix.x4 (.trans): four 8×8 matrices of 16-bit elements; lane l gives the address of row l
/// mod 8 of matrix l / 8.
void ldmatrix_x4(std::uint32_t (&r)[4], const void* row, bool transposed);

/// cp.async of 16 bytes; `read` < 16 fills the rest with zeros. Lands in the wait for its group;
/// until then `to` holds 0xff.
void copy_async_16(void* to, const void* from, int read);
void copy_async_commit();
void copy_async_wait(std::size_t pending);

/// ex2.approx.ftz: exact here, results below 2^-126 become 0.
inline float exp2_approx(float x) {
    return x < -126.0f ? 0.0f : std::exp2(x);
}

}  // namespace emulator
