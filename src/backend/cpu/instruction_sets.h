#pragma once
// Kernel sets by the names that users give.

#include <string>

#include "cpu/kernels.h"

namespace muster::cpu {

/// Throws UserError that lists what this processor has.
Isa isa_named(const std::string& name);

}  // namespace muster::cpu
