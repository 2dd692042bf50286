// What the lanes of a warp do together: exchanges, and the instructions of emulated_ptx.h.

#include "emulated_ptx.h"
#include "parts.h"
#include "races.h"
#include "tensor_core.h"

namespace emulator {
namespace {

/// What a lane brings to a matrix instruction, and whether the warp's product is in its sums.
struct MmaLane {
    const std::uint32_t* a;  ///< [4]
    const std::uint32_t* b;  ///< [2]
    float* d;                ///< [4]
    bool done = false;
};

/// d [16, 8] f32 += a [16, 16] · b [16, 8] of the whole warp. Lane l has rows and columns l / 4 and
/// l / 4 + 8, and of k 2 (l mod 4) and the next, and so again from 8 on.
template <float (*kWiden)(std::uint16_t)>
void multiply_fragments(MmaLane* const (&lanes)[32]) {
    constexpr float kLeast = kWiden == muster::from_bf16 ? kLeastPowerBf16 : kLeastPowerF16;
    RowFactors rows[16];
    ColumnFactors columns;
    const auto pair = [](std::uint32_t word, const auto& set) {
        set(0, kWiden(static_cast<std::uint16_t>(word)));
        set(1, kWiden(static_cast<std::uint16_t>(word >> 16)));
    };
    for (unsigned l = 0; l < 32; ++l) {
        const unsigned group = l / 4, k = l % 4 * 2;
        for (unsigned i = 0; i < 4; ++i)
            pair(lanes[l]->a[i], [&](unsigned odd, float value) {
                rows[group + i % 2 * 8].set(i / 2 * 8 + k + odd, value, kLeast);
            });
        for (unsigned i = 0; i < 2; ++i)
            pair(lanes[l]->b[i], [&](unsigned odd, float value) {
                columns.set(i * 8 + k + odd, group, value, kLeast);
            });
    }
    for (unsigned row = 0; row < 16; ++row) {
        float sums[8];
        const auto sum_of = [&](unsigned n) -> float& {
            return lanes[row % 8 * 4 + n / 2]->d[row / 8 * 2 + n % 2];
        };
        for (unsigned n = 0; n < 8; ++n) sums[n] = sum_of(n);
        add_products(tensor_core(), rows[row], columns, sums);
        for (unsigned n = 0; n < 8; ++n) sum_of(n) = sums[n];
    }
}

}  // namespace

std::uint64_t exchange_words(unsigned mask, std::uint64_t word, unsigned source) {
    if ((mask >> lane() & 1u) == 0) fail("a lane shuffles that is not in the mask");
    warp_words()[lane()] = word;
    meet_warp(mask, Together::exchange);
    const unsigned from = source & 31u;
    const std::uint64_t result = (mask >> from & 1u) != 0 ? warp_words()[from] : word;
    meet_warp(mask, Together::exchange);
    return result;
}

unsigned ballot(unsigned mask, bool vote) {
    warp_words()[lane()] = vote ? 1 : 0;
    meet_warp(mask, Together::vote);
    unsigned bits = 0;
    for (unsigned i = 0; i < 32; ++i)
        if ((mask >> i & 1u) != 0 && warp_words()[i] != 0) bits |= 1u << i;
    meet_warp(mask, Together::vote);
    return bits;
}

template <float (*kWiden)(std::uint16_t)>
void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
    MmaLane mine{a, b, d};
    warp_words()[lane()] = reinterpret_cast<std::uint64_t>(&mine);
    meet_warp(0xffffffffu, Together::product);
    if (!mine.done) {  // the first lane that goes on computes for all
        MmaLane* lanes[32];
        for (unsigned l = 0; l < 32; ++l) lanes[l] = reinterpret_cast<MmaLane*>(warp_words()[l]);
        multiply_fragments<kWiden>(lanes);
        for (MmaLane* const lane : lanes) lane->done = true;
    }
    meet_warp(0xffffffffu, Together::product);
}
template void mma_m16n8k16<muster::from_bf16>(float (&)[4], const std::uint32_t (&)[4],
                                              const std::uint32_t (&)[2]);
template void mma_m16n8k16<muster::from_f16>(float (&)[4], const std::uint32_t (&)[4],
                                             const std::uint32_t (&)[2]);

void ldmatrix_x4(std::uint32_t (&r)[4], const void* row, bool transposed) {
    if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0)
        fail("ldmatrix: a row is not aligned to 16 bytes");
    if (races::on) races::warp_reads(row, 16);
    warp_words()[lane()] = reinterpret_cast<std::uint64_t>(row);
    meet_warp(0xffffffffu, Together::matrix);
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
    meet_warp(0xffffffffu, Together::matrix);
}

}  // namespace emulator
