// As kernels_avx512.cpp with -mavx512bf16; nothing here may run before the processor has been asked.
#include "cpu/vec_avx512_bf16.h"

namespace {
constexpr int kRegisterRows = 12;
}
#include "cpu/kernel_sets.h"
#include "cpu/kernels_body.h"

namespace muster::cpu {
const Kernels kAvx512Bf16Kernels = make_kernels("AVX-512 BF16");
}
