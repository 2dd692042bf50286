// Compiled with -mavx512f and friends; nothing here may run before the processor has been asked.
#include "cpu/vec_avx512.h"

namespace {
constexpr int kRegisterRows = 12;  // 24 sums, 2 weights, 1 input of 32 registers
}
#include "cpu/kernel_sets.h"
#include "cpu/kernels_body.h"

namespace muster::cpu {
const Kernels kAvx512Kernels = make_kernels("AVX-512");
}
