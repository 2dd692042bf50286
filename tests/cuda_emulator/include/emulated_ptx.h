#pragma once
// The instructions of src/backend/cuda/ptx.cuh for the emulated device, with the register layouts
// of the PTX ISA (sections "mma.m16n8k16", "mma.m16n8k8", "ldmatrix").

#include "cuda_bf16.h"
#include "cuda_fp16.h"

namespace emulator {

/// d [16, 8] f32 += a [16, 16] · b [16, 8] of bf16 or f16 bits, fragments as in mma.m16n8k16.
template <float (*kWiden)(std::uint16_t)>
void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
    struct Fragments {
        float a[8], b[4];
    };
    Fragments mine;
    const auto widen = [](std::uint32_t word, float* to) {
        to[0] = kWiden(static_cast<std::uint16_t>(word));
        to[1] = kWiden(static_cast<std::uint16_t>(word >> 16));
    };
    for (unsigned i = 0; i < 4; ++i) widen(a[i], mine.a + 2 * i);
    for (unsigned i = 0; i < 2; ++i) widen(b[i], mine.b + 2 * i);
    warp_words()[lane()] = reinterpret_cast<std::uint64_t>(&mine);
    meet_warp(0xffffffffu);
    const auto of = [](unsigned l) { return reinterpret_cast<const Fragments*>(warp_words()[l]); };
    const unsigned group = lane() / 4, column = lane() % 4 * 2;
    for (unsigned i = 0; i < 4; ++i) {
        const unsigned half = i / 2, n = column + i % 2;  // row = group + 8 · half
        float sum = d[i];
        for (unsigned k = 0; k < 16; ++k) {
            // Row r, column k of a: lane (r mod 8)·4 + (k mod 8)/2, register (k/8)·2 + r/8.
            const unsigned at = k % 8 / 2, eight = k / 8;
            sum += of(group * 4 + at)->a[(eight * 2 + half) * 2 + k % 2] *
                   of(n * 4 + at)->b[eight * 2 + k % 2];
        }
        d[i] = sum;
    }
    meet_warp(0xffffffffu);
}

/// ldmatrix.x4 (.trans): four 8×8 matrices of 16-bit elements; lane l gives the address of row l
/// mod 8 of matrix l / 8.
inline void ldmatrix_x4(std::uint32_t (&r)[4], const void* row, bool transposed) {
    if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0)
        fail("ldmatrix: a row is not aligned to 16 bytes");
    warp_words()[lane()] = reinterpret_cast<std::uint64_t>(row);
    meet_warp(0xffffffffu);
    const unsigned l = lane();
    for (unsigned matrix = 0; matrix < 4; ++matrix) {
        const auto element = [&](unsigned i, unsigned j) {
            return reinterpret_cast<const std::uint16_t*>(warp_words()[matrix * 8 + i])[j];
        };
        const unsigned i = l / 4, j = l % 4 * 2;
        const std::uint32_t low = transposed ? element(j, i) : element(i, j);
        const std::uint32_t high = transposed ? element(j + 1, i) : element(i, j + 1);
        r[matrix] = low | high << 16;
    }
    meet_warp(0xffffffffu);
}

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
