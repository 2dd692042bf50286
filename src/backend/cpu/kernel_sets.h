#pragma once
// The compiled kernel sets; kernels.cpp chooses among them.

#include "cpu/kernels.h"

namespace muster::cpu {

extern const Kernels kGenericKernels, kAvx2Kernels, kAvx512Kernels, kAvx512Bf16Kernels;

}  // namespace muster::cpu
