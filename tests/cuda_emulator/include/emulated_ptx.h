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
        const std::uint32_t *a, *b;
    };
    const Fragments mine{a, b};
    warp_words()[lane()] = reinterpret_cast<std::uint64_t>(&mine);
    meet_warp(0xffffffffu);
    const auto half_of = [](std::uint32_t word, unsigned i) {
        return kWiden(static_cast<std::uint16_t>(i == 0 ? word : word >> 16));
    };
    const auto of = [](unsigned l) { return reinterpret_cast<const Fragments*>(warp_words()[l]); };
    const unsigned group = lane() / 4, column = lane() % 4 * 2;
    for (unsigned i = 0; i < 4; ++i) {
        const unsigned row = group + (i / 2) * 8, n = column + i % 2;
        float sum = d[i];
        for (unsigned k = 0; k < 16; ++k) {
            // Row r, column k of a: lane (r mod 8)·4 + (k mod 8)/2, register (k/8)·2 + r/8.
            const std::uint32_t word_a = of((row % 8) * 4 + (k % 8) / 2)->a[(k / 8) * 2 + row / 8];
            const std::uint32_t word_b = of(n * 4 + (k % 8) / 2)->b[k / 8];
            sum = std::fma(half_of(word_a, k % 2), half_of(word_b, k % 2), sum);
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

/// cp.async of 16 bytes; `read` < 16 fills the rest with zeros. Lands at once: a missing wait does
/// not show here.
inline void copy_async_16(void* shared, const void* global, int read) {
    if (reinterpret_cast<std::uintptr_t>(shared) % 16 != 0 ||
        (read > 0 && reinterpret_cast<std::uintptr_t>(global) % 16 != 0))
        fail("cp.async: an address is not aligned to 16 bytes");
    std::memset(shared, 0, 16);
    std::memcpy(shared, global, static_cast<std::size_t>(read));
}

}  // namespace emulator
