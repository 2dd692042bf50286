#pragma once
// Loops that do nothing but arithmetic, for ceilings.cpp.

#include <cstdint>

namespace muster::cpu {

struct PeakLoop {
    const char* name = nullptr;  ///< nullptr: this processor has no such instructions
    void (*run)(std::uint64_t iterations) = nullptr;
    double flops_per_iteration = 0;
};

/// The widest f32 multiply-add that this processor has.
PeakLoop f32_peak_loop();
/// Dot products of bf16 pairs added to f32.
PeakLoop bf16_peak_loop();

}  // namespace muster::cpu
