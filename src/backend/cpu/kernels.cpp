#include "cpu/kernels.h"

#include <algorithm>

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
        }
    }
#endif
    return sets;
}

const Kernels& kernels_for(Isa isa) {
    const std::vector<Isa> sets = available_isas();
    if (std::find(sets.begin(), sets.end(), isa) == sets.end()) {
        throw InternalError("cpu backend: asked for an instruction set that this processor lacks");
    }
#ifdef MUSTER_X86_KERNELS
    if (isa == Isa::avx512) return kAvx512Kernels;
    if (isa == Isa::avx2) return kAvx2Kernels;
#endif
    return kGenericKernels;
}

}  // namespace muster::cpu
