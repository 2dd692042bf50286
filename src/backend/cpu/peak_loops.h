#pragma once
// Loops that do nothing but arithmetic, for ceilings.cpp.

#include <cstdint>

#include "cpu/kernels.h"

namespace muster::cpu {

struct PeakLoop {
    const char* name = nullptr;  ///< nullptr: the set has no such instructions
    void (*run)(std::uint64_t iterations) = nullptr;
    double flops_per_iteration = 0;
};

/// The widest f32 multiply-add of an instruction set.
PeakLoop f32_peak_loop(Isa isa);
/// Dot products of bf16 pairs added to f32.
PeakLoop bf16_peak_loop(Isa isa);

}  // namespace muster::cpu
