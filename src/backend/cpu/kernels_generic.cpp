// Compiled for the build's baseline processor.
#include "cpu/vec_generic.h"

namespace {
constexpr int kRegisterRows = 3;
}
#include "cpu/kernel_sets.h"
#include "cpu/kernels_body.h"

namespace muster::cpu {
const Kernels kGenericKernels = make_kernels("generic");
}
