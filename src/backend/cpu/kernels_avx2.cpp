// Compiled with -mavx2 -mfma -mf16c; nothing here may run before the processor has been asked.
#include "cpu/vec_avx2.h"

namespace {
constexpr int kRegisterRows = 3;  // a row of a panel takes 4 of 16 registers
}
#include "cpu/kernel_sets.h"
#include "cpu/kernels_body.h"

namespace muster::cpu {
const Kernels kAvx2Kernels = make_kernels("AVX2");
}
