#pragma once
// The command line of `bench`. Flags that `run` has, too, have its names and defaults.

#include <cstdint>
#include <string>
#include <vector>

#include "cli/options.h"

namespace muster {

struct BenchConfig {
    std::string shape, model;         ///< one of the two is set
    std::vector<std::string> phases;  ///< names from bench_phases.h
    std::int64_t prompt_tokens = 512, context_tokens = 128, new_tokens = 64;
    std::vector<std::int64_t> batches = {1};  ///< sequences of a phase, measured one by one
    std::int64_t batch = 1;                   ///< of `batches`, the one that is measured
    std::int64_t questions = 8;
    std::int64_t top_k = 0;  ///< decode: 0 is greedy, or all tokens with `sample`
    bool sample = false;     ///< decode: at temperature 1
    std::string dtype = "auto";
    std::int64_t threads = 0, tensor_parallel = 1;
    bool tp_across_nodes = false;
    bool no_pinning = false;
    bool no_step_recording = false;
    std::string isa;  ///< "" for the fastest
    std::string device = "auto", device_transport = "auto";
    std::int64_t device_timeout = 300;  ///< seconds that a step on a device may take
    bool allow_device_sharing = false, tp_invariant = false;
    std::int64_t runs = 5;
    std::int64_t step_tokens = 512;  ///< 0 as read: as the device likes it
    bool profile = false;
    std::string json;  ///< path, or ""
};

void add_bench_options(boost::program_options::options_description& description);
/// Throws UserError.
BenchConfig read_bench(const Options& options);

/// `bench` with one of its batches.
BenchConfig at_batch(BenchConfig bench, std::int64_t batch);
/// Throws UserError if a step is too short for the sequences that decode together.
void check_step_tokens(const BenchConfig& bench);
/// The largest of its batches.
std::int64_t largest_batch(const BenchConfig& bench);

}  // namespace muster
