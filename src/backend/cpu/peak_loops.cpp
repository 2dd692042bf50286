// Whole loops in assembly: the compiler may neither spill the accumulators nor fold the additions,
// and no compile flag of this file decides what is measured. A multiply-add takes 4 cycles and two
// start in each, so 8 accumulators keep the units busy; there are 24 (12 where registers are 16).
// All values are ordinary numbers: zeros and denormals may run faster or slower.

#include "cpu/peak_loops.h"

namespace muster::cpu {

namespace {

#if defined(MUSTER_X86_KERNELS)

#define MUSTER_TIMES_12(op)                                                                  \
    op("0") op("1") op("2") op("3") op("4") op("5") op("6") op("7") op("8") op("9") op("10") \
        op("11")
#define MUSTER_TIMES_24(op)                                                                   \
    MUSTER_TIMES_12(op)                                                                       \
    op("12") op("13") op("14") op("15") op("16") op("17") op("18") op("19") op("20") op("21") \
        op("22") op("23")
#define MUSTER_CLOBBER_16                                                                    \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#define MUSTER_CLOBBER_32                                                                      \
    MUSTER_CLOBBER_16, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", \
        "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31"

constexpr float kOne = 1.0f, kSmall = 0x1p-20f;
constexpr std::uint32_t kSmallPair = 0x35803580u;  // two bf16 of 2^-20

#define MUSTER_START_512(i) "vmovaps %%zmm30, %%zmm" i "\n"
#define MUSTER_FMA_512(i) "vfmadd231ps %%zmm30, %%zmm31, %%zmm" i "\n"
#define MUSTER_DOT_512(i) "vdpbf16ps %%zmm31, %%zmm31, %%zmm" i "\n"
#define MUSTER_START_256(i) "vmovaps %%ymm14, %%ymm" i "\n"
#define MUSTER_FMA_256(i) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" i "\n"

__attribute__((target("avx512f"))) void fma_avx512(std::uint64_t iterations) {
    asm volatile(
        "vbroadcastss %[one], %%zmm30\n"
        "vbroadcastss %[small], %%zmm31\n"
        MUSTER_TIMES_24(MUSTER_START_512)
        ".p2align 5\n"
        "1:\n"
        MUSTER_TIMES_24(MUSTER_FMA_512)
        "dec %[n]\n"
        "jnz 1b\n"
        "vzeroupper\n"
        : [n] "+r"(iterations)
        : [one] "m"(kOne), [small] "m"(kSmall)
        : "cc", MUSTER_CLOBBER_32);
}

__attribute__((target("avx512f"))) void dot_avx512(std::uint64_t iterations) {
    asm volatile(
        "vbroadcastss %[one], %%zmm30\n"
        "vpbroadcastd %[small], %%zmm31\n"
        MUSTER_TIMES_24(MUSTER_START_512)
        ".p2align 5\n"
        "1:\n"
        MUSTER_TIMES_24(MUSTER_DOT_512)
        "dec %[n]\n"
        "jnz 1b\n"
        "vzeroupper\n"
        : [n] "+r"(iterations)
        : [one] "m"(kOne), [small] "m"(kSmallPair)
        : "cc", MUSTER_CLOBBER_32);
}

__attribute__((target("avx2,fma"))) void fma_avx2(std::uint64_t iterations) {
    asm volatile(
        "vbroadcastss %[one], %%ymm14\n"
        "vbroadcastss %[small], %%ymm15\n"
        MUSTER_TIMES_12(MUSTER_START_256)
        ".p2align 5\n"
        "1:\n"
        MUSTER_TIMES_12(MUSTER_FMA_256)
        "dec %[n]\n"
        "jnz 1b\n"
        "vzeroupper\n"
        : [n] "+r"(iterations)
        : [one] "m"(kOne), [small] "m"(kSmall)
        : "cc", MUSTER_CLOBBER_16);
}

#endif

constexpr int kPlainLanes = 64;

/// What the compiler makes of independent multiply-adds; fused where the target has that.
void plain(std::uint64_t iterations) {
    float sums[kPlainLanes];
    volatile float start = 1.0f, factor = 0x1p-20f;
    const float a = start, b = factor;
    for (float& sum : sums) sum = a;
    for (; iterations > 0; --iterations) {
        for (float& sum : sums) {
#if defined(__FP_FAST_FMAF)
            sum = __builtin_fmaf(sum, b, a);
#else
            sum = sum * b + a;
#endif
        }
    }
    volatile float sink = 0;
    for (const float sum : sums) sink = sum;
    (void)sink;
}

}  // namespace

PeakLoop f32_peak_loop(Isa isa) {
#if defined(MUSTER_X86_KERNELS)
    if (isa >= Isa::avx512) return {"AVX-512 FMA", fma_avx512, 24 * 16 * 2};
    if (isa == Isa::avx2) return {"AVX2 FMA", fma_avx2, 12 * 8 * 2};
#endif
    (void)isa;
    return {"portable multiply-add", plain, kPlainLanes * 2};
}

PeakLoop bf16_peak_loop(Isa isa) {
#if defined(MUSTER_X86_KERNELS)
    if (isa == Isa::avx512_bf16 || isa == Isa::avx512_mixed)
        return {"AVX-512 vdpbf16ps", dot_avx512, 24 * 32 * 2};
#endif
    (void)isa;
    return {};
}

}  // namespace muster::cpu
