#include "cpu/kernels.h"

#include <algorithm>
#include <chrono>

#include "cpu/kernel_sets.h"
#include "muster/base/error.h"

namespace muster::cpu {

std::vector<Isa> available_isas() {
    std::vector<Isa> sets{Isa::generic};
#ifdef MUSTER_X86_KERNELS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("f16c")) {
        sets.push_back(Isa::avx2);
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
            sets.push_back(Isa::avx512);
            if (__builtin_cpu_supports("avx512bf16")) {
                sets.push_back(Isa::avx512_mixed);
                sets.push_back(Isa::avx512_bf16);
            }
        }
    }
#endif
    return sets;
}

#ifdef MUSTER_X86_KERNELS
namespace {

Kernels mixed_kernels() {
    Kernels kernels = kAvx512Kernels;
    kernels.name = "AVX-512 with BF16 for few rows";
    kernels.few_rows = &kAvx512Bf16Kernels;
    return kernels;
}

}  // namespace
#endif

const Kernels& kernels_for(Isa isa) {
    const std::vector<Isa> sets = available_isas();
    if (std::find(sets.begin(), sets.end(), isa) == sets.end()) {
        throw InternalError("cpu backend: asked for an instruction set that this processor lacks");
    }
#ifdef MUSTER_X86_KERNELS
    if (isa == Isa::avx512_bf16) return kAvx512Bf16Kernels;
    if (isa == Isa::avx512_mixed) {
        static const Kernels mixed = mixed_kernels();
        return mixed;
    }
    if (isa == Isa::avx512) return kAvx512Kernels;
    if (isa == Isa::avx2) return kAvx2Kernels;
#endif
    return kGenericKernels;
}

namespace {

/// Seconds of a bf16 product of 48 rows by one panel, weights widened where the set does that: the
/// best of some tries.
double try_bf16_product(const Kernels& kernels) {
    constexpr std::int64_t kSteps = 128, kBlocks = 4, kTries = 20;
    alignas(64) static float x[kSteps * 2 * kTileRows], widened[kSteps * 2 * kPanel];
    alignas(64) static std::uint16_t w[kSteps * 2 * kPanel];
    alignas(64) float c[kTileRows * kPanel] = {};
    using Clock = std::chrono::steady_clock;
    double best = 1;
    for (int i = 0; i < kTries; ++i) {
        const Clock::time_point start = Clock::now();
        if (kernels.widens_bf16) kernels.widen(DType::bf16, kSteps, w, widened);
        for (int block = 0; block < kBlocks; ++block) {
            if (kernels.widens_bf16)
                kernels.tile_f32(kTileRows, 2 * kSteps, x, widened, kPanel, c, true, {});
            else
                kernels.tile_bf16(kTileRows, kSteps, x, w, kPanel, c, true, {});
        }
        best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    }
    return best;
}

}  // namespace

Isa fastest_isa() {
    const Isa widest = available_isas().back();
    if (widest != Isa::avx512_bf16) return widest;
    static const bool dot_is_faster = try_bf16_product(kernels_for(Isa::avx512_bf16)) <
                                      try_bf16_product(kernels_for(Isa::avx512));
    return dot_is_faster ? Isa::avx512_bf16 : Isa::avx512_mixed;
}

}  // namespace muster::cpu
