#include <iostream>

#include "cli/run_options.h"
#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/text.h"
#include "muster/eval/plan_report.h"
#include "muster/eval/topology.h"
#include "muster/mpi/agree.h"
#include "muster/mpi/communicator.h"
#include "muster/mpi/host.h"
#include "muster/mpi/session.h"

namespace po = boost::program_options;

namespace muster {

namespace {

/// The job to plan: --ranks and --ranks-per-node if given, else the ranks that run this very
/// command.
struct PlannedJob {
    std::vector<int> nodes;
    std::vector<std::string> hosts;
};

PlannedJob job_from_options(const Options& options) {
    const std::int64_t ranks = parse_integer("--ranks", options.get<std::string>("ranks"));
    const std::int64_t per_node =
        options.has("ranks-per-node")
            ? parse_integer("--ranks-per-node", options.get<std::string>("ranks-per-node"))
            : ranks;
    if (ranks < 1 || ranks > 1'000'000 || per_node < 1)
        throw UserError(
            "--ranks, --ranks-per-node: expected positive numbers of at most a million");
    PlannedJob job;
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
        job.nodes.push_back(static_cast<int>(rank / per_node));
        job.hosts.push_back(cat("node", rank / per_node));
    }
    return job;
}

}  // namespace

int plan_command(const Arguments& arguments) {
    MpiSession session(nullptr, nullptr);
    const Communicator world = Communicator::world();
    try {
        po::options_description description;
        add_run_options(description);
        po::options_description job_options("Job to plan for", 110);
        job_options.add_options()("ranks", po::value<std::string>()->value_name("N"),
                                  "ranks of the job (default: those that run this command)")(
            "ranks-per-node", po::value<std::string>()->value_name("N"),
            "ranks on each node (default: all on one)");
        description.add(job_options);
        const Options options(
            arguments, "plan [RUN-FILE] [options]",
            "Shows what `muster run` would do with the same arguments: layout, model, memory per "
            "rank, and per task\n"
            "documents, requests, tokens and operations. Reads no weights; needs no launcher.",
            description, {"run-file"});
        if (options.help()) {
            if (world.is_root()) std::cout << options.help_text();
            return 0;
        }
        configure_run_log(options, world.rank(), world.size());
        PlannedJob job{node_of_rank(world), world.all_gather(host_name())};
        agree(world, "plan the run", [&] {
            if (!world.is_root()) return;
            if (options.has("ranks")) job = job_from_options(options);
            std::cout << format_plan(read_run(options), job.nodes, job.hosts);
        });
        return 0;
    } catch (const Error& e) {
        if (world.is_root()) std::cerr << "error: " << e.what() << "\n";
        return e.exit_code();
    }
}

}  // namespace muster
