#pragma once
// The command line of `run` and `plan`: a run file and one flag for every key that it can hold.

#include "cli/options.h"
#include "muster/eval/run_config.h"

namespace muster {

/// Adds the flags of all run-file keys, grouped, with their defaults.
void add_run_options(boost::program_options::options_description& description);

/// The run file named by the positional argument `run-file`, if any, with the flags laid over it.
/// Throws UserError.
RunConfig read_run(const Options& options);

/// Applies --quiet and --verbose. `rank` and `size` are those of the world.
void configure_run_log(const Options& options, int rank, int size);

}  // namespace muster
