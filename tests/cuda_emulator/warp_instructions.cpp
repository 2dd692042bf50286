// What the lanes of a warp do together: exchanges, and the instructions of emulated_ptx.h.

#include "emulated_ptx.h"
#include "parts.h"
#include "races.h"

namespace emulator {

std::uint64_t exchange_words(unsigned mask, std::uint64_t word, unsigned source) {
    if ((mask >> lane() & 1u) == 0) fail("a lane shuffles that is not in the mask");
    warp_words()[lane()] = word;
    meet_warp(mask);
    const unsigned from = source & 31u;
    const std::uint64_t result = (mask >> from & 1u) != 0 ? warp_words()[from] : word;
    meet_warp(mask);
    return result;
}

unsigned ballot(unsigned mask, bool vote) {
    warp_words()[lane()] = vote ? 1 : 0;
    meet_warp(mask);
    unsigned bits = 0;
    for (unsigned i = 0; i < 32; ++i)
        if ((mask >> i & 1u) != 0 && warp_words()[i] != 0) bits |= 1u << i;
    meet_warp(mask);
    return bits;
}

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
template void mma_m16n8k16<muster::from_bf16>(float (&)[4], const std::uint32_t (&)[4],
                                              const std::uint32_t (&)[2]);
template void mma_m16n8k16<muster::from_f16>(float (&)[4], const std::uint32_t (&)[4],
                                             const std::uint32_t (&)[2]);

void ldmatrix_x4(std::uint32_t (&r)[4], const void* row, bool transposed) {
    if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0)
        fail("ldmatrix: a row is not aligned to 16 bytes");
    if (races::on) races::warp_reads(row, 16);
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

}  // namespace emulator
