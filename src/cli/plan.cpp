#include <iostream>

#include "cli/run_options.h"
#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/text.h"
#include "muster/eval/evaluator.h"
#include "muster/eval/plan_report.h"
#include "muster/eval/topology.h"
#include "muster/mpi/agree.h"
#include "muster/mpi/communicator.h"
#include "muster/mpi/host.h"
#include "muster/mpi/session.h"

namespace po = boost::program_options;

namespace muster {

namespace {

/// The job of --ranks and --ranks-per-node.
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

/// Devices of --device-memory, or nothing if CPUs are asked for.
JobDevices devices_from_options(const Options& options, const RunConfig& run, std::size_t ranks) {
    const std::string text = options.get<std::string>("device-memory");
    const auto bytes = parse_bytes(text);
    if (!bytes)
        throw UserError(cat("--device-memory: expected a size such as 141GiB, got \"", text, "\""));
    if (run.device == "cpu") throw UserError("--device-memory: expected --device cuda or auto");
    return planned_devices(static_cast<int>(ranks), *bytes);
}

/// The job to plan: what the options say, else the ranks that run this very command and what they
/// find. Whole on rank 0. Collective.
PlannedJob find_job(const Communicator& world, const Options& options, const RunConfig& run) {
    PlannedJob job{node_of_rank(world), world.all_gather(host_name()), {}};
    const bool real = !options.has("ranks") && !options.has("device-memory");
    if (real)
        job.devices =
            choose_devices(world, run.device, run.allow_device_sharing, run.tensor_parallel != 1);
    agree(world, "read the options", [&] {
        if (real || !world.is_root()) return;
        if (options.has("ranks")) job = job_from_options(options);
        if (options.has("device-memory"))
            job.devices = devices_from_options(options, run, job.nodes.size());
        else if (run.device == "cuda")
            throw UserError(
                "--ranks with --device cuda: expected --device-memory, since the "
                "devices of such a job are not here to be looked at");
    });
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
            "ranks on each node (default: all on one)")(
            "device-memory", po::value<std::string>()->value_name("SIZE"),
            "free memory of each rank's device, as 141GiB: plans for devices that are not here");
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
        const RunConfig run = share_run_config(world, [&] { return read_run(options); });
        const PlannedJob job = find_job(world, options, run);
        agree(world, "plan the run", [&] {
            if (world.is_root()) std::cout << format_plan(run, job);
        });
        return 0;
    } catch (const Error& e) {
        if (world.is_root()) std::cerr << "error: " << e.what() << "\n";
        return e.exit_code();
    }
}

}  // namespace muster
