// `muster bench`: the command around bench_session.h.

#include <iostream>

#include "cli/bench_options.h"
#include "cli/bench_session.h"
#include "cli/run_options.h"
#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/log.h"
#include "muster/config/parse.h"
#include "muster/mpi/agree.h"
#include "muster/mpi/communicator.h"
#include "muster/mpi/session.h"

namespace po = boost::program_options;

namespace muster {

namespace {

/// One rank's own failure: the others sit in collectives and can only be ended.
[[noreturn]] void end_job(const std::exception& e) {
    const auto* known = dynamic_cast<const Error*>(&e);
    error_line(e.what());
    MpiSession::abort(known ? known->exit_code() : 70);
}

void bench(const Communicator& world, const BenchConfig& config) {
    const BenchResult result = run_bench(world, config);
    agree(world, "write the report", [&] {
        if (!world.is_root()) return;
        std::cout << format_bench(result);
        if (!config.json.empty())
            write_file_atomically(config.json, to_json(bench_json(result), 2) + "\n");
    });
}

}  // namespace

int bench_command(const Arguments& arguments) {
    MpiSession session(nullptr, nullptr);
    const Communicator world = Communicator::world();
    configure_log(Verbosity::normal, "", world.is_root());
    try {
        po::options_description description;
        add_bench_options(description);
        const Options options(arguments, "bench [options]",
                              "Measures what this machine can do and what the engine makes of it: "
                              "tokens/s, and the fraction of the time\nthat the ceilings would "
                              "allow. Start it with srun or mpirun for several ranks; "
                              "docs/benchmarks.md explains every column.",
                              description);
        if (options.help()) {
            if (world.is_root()) std::cout << options.help_text();
            return 0;
        }
        configure_run_log(options, world.rank(), world.size());
        bench(world, read_bench(options));
        return 0;
    } catch (const Error& e) {
        if (!e.agreed() && world.size() > 1 && !dynamic_cast<const UserError*>(&e)) end_job(e);
        if (world.is_root()) std::cerr << "error: " << e.what() << "\n";
        return e.exit_code();
    } catch (const std::exception& e) {
        end_job(e);
    }
}

}  // namespace muster
