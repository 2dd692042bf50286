#include <iostream>

#include "cli/run_options.h"
#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/text.h"
#include "muster/eval/evaluator.h"
#include "muster/eval/report.h"
#include "muster/mpi/communicator.h"
#include "muster/mpi/session.h"
#include "muster/results/result_file.h"

namespace po = boost::program_options;

namespace muster {

namespace {

std::string command_line(const Arguments& arguments) {
    std::string line = "muster run";
    for (const std::string& argument : arguments) {
        const bool plain =
            !argument.empty() && argument.find_first_of(" \t\n\"'\\$*?") == std::string::npos;
        line += plain ? " " + argument : cat(" '", argument, "'");
    }
    return line;
}

/// One rank's own failure in the run loop: the others sit in collectives and can only be ended.
[[noreturn]] void end_job(const std::exception& e) {
    const auto* known = dynamic_cast<const Error*>(&e);
    error_line(e.what());
    MpiSession::abort(known ? known->exit_code() : 70);
}

void evaluate(const Communicator& world, const Options& options, const Arguments& arguments) {
    const RunConfig run = share_run_config(world, [&] { return read_run(options); });
    Evaluation evaluation(world, run, command_line(arguments));
    try {
        evaluation.run();
    } catch (const std::exception& e) {
        end_job(e);
    }
    const std::vector<SummaryRow> summary = evaluation.finish();
    if (!world.is_root()) return;
    std::cout << format_summary(summary) << "\n"
              << "tokens: " << format_work(ResultReader(run.output)) << "\n"
              << run.output << " holds every sample; muster show and h5dump read it\n";
}

}  // namespace

int run_command(const Arguments& arguments) {
    MpiSession session(nullptr, nullptr);
    const Communicator world = Communicator::world();
    configure_log(Verbosity::normal, "", world.is_root());
    try {
        po::options_description description;
        add_run_options(description);
        const Options options(arguments, "run [RUN-FILE] [options]",
                              "Evaluates a model on tasks and writes one HDF5 file. Start it with "
                              "srun or mpirun for several ranks. Flags\n"
                              "override the keys of the run file (JSON); without a run file, "
                              "--model and --tasks are needed.",
                              description, {"run-file"});
        if (options.help()) {
            if (world.is_root()) std::cout << options.help_text();
            return 0;
        }
        configure_run_log(options, world.rank(), world.size());
        evaluate(world, options, arguments);
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
