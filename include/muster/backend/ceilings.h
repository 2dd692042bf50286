#pragma once
// What this processor can do at best, measured: the yardsticks that a benchmark holds the kernels
// to. Machines are noisy and shared, so they are measured in the same process as what they judge.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "muster/tensor/dtype.h"

namespace muster {

/// Rates of one rank on all of its threads, one per repeat.
struct CpuCeilings {
    std::string f32_instructions;    ///< "AVX-512 FMA": what f32_flops was measured with
    std::string bf16_instructions;   ///< "AVX-512 vdpbf16ps"; "" if this processor has none
    std::vector<double> f32_flops;   ///< per second, 2 per multiply-add
    std::vector<double> bf16_flops;  ///< per second; empty without bf16_instructions
    std::vector<double> read_bytes;  ///< per second, out of a buffer larger than the caches

    /// The fastest way to multiply numbers of `dtype` and add in f32: 16-bit weights may be widened
    /// and multiplied as f32, or, if they are bf16, by dot products, whichever is faster (a
    /// processor's dot products may run at half the rate of its multiply-adds).
    const std::vector<double>& usable_flops(DType dtype) const;
};

struct CeilingOptions {
    int threads = 1;
    std::vector<int> cpus;        ///< thread i stays on cpus[i]; empty: where the kernel puts it
    std::string instruction_set;  ///< one of cpu_instruction_sets(); "": all that there is
    std::uint64_t read_buffer = std::uint64_t{1} << 30;  ///< bytes
    int repeats = 7;
    double seconds = 0.03;  ///< of one repeat of multiply-adds
    /// Called before every repeat, equally often on every processor: a barrier of the ranks that
    /// share the machine.
    std::function<void()> together = [] {};
};

/// Takes about a second. Throws UserError for an unknown instruction set, SystemError if there is
/// no room for the buffer.
CpuCeilings measure_cpu_ceilings(const CeilingOptions& options);

/// The middle one of `values`, or the mean of the middle two; 0 of none.
double median(std::vector<double> values);

}  // namespace muster
