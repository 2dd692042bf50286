#include "model_setup.h"

#include <algorithm>

#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/progress.h"
#include "muster/base/text.h"
#include "muster/eval/degree.h"
#include "muster/mpi/agree.h"
#include "muster/mpi/host.h"

namespace muster {

void ModelSetup::find_devices() {
    devices =
        choose_devices(*world, run.device, run.allow_device_sharing, run.tensor_parallel != 1);
    if (run.step_tokens == 0) run.step_tokens = default_step_tokens(devices.cuda());
    if (!world->is_root()) return;
    for (const std::string& warning : devices.warnings) warn(warning);
    if (devices.left_alone)
        warn(cat("computing on CPUs: ", devices.why));
    else if (!devices.why.empty())
        info(cat("computing on CPUs: ", devices.why));
}

void ModelSetup::lay_out() {
    topology.emplace(make_topology(*world, run.tensor_parallel, run.tp_across_nodes, run.threads,
                                   run.pinning, devices));
    if (devices.cuda() && run.tensor_parallel > 1)
        transport = name_of(choose_transport(devices, topology->grid, run.device_transport));
    if (!world->is_root()) return;
    info(format_topology(topology->ranks));
    for (const std::string& warning : uneven_groups(devices, topology->grid)) warn(warning);
    if (transport.empty()) return;
    const std::string warning = transport_warning(devices, topology->grid, run.device_transport);
    if (!warning.empty()) warn(warning);
}

DeviceNeeds ModelSetup::needs(std::int64_t longest) const {
    return {std::max<std::int64_t>(longest, 1), stored_dtype(*checkpoint)};
}

// --tp auto.
void ModelSetup::choose_degree_for(std::int64_t longest) {
    JobShape job{node_of_rank(*world), world->all_gather(host_name())};
    job.node_memory = static_cast<std::uint64_t>(world->min(
        static_cast<std::int64_t>(std::min<std::uint64_t>(available_memory(), INT64_MAX))));
    job.threads = run.threads > 0 ? run.threads : default_threads(world->split_by_node());
    job.threads = static_cast<int>(world->max(job.threads));
    const std::vector<DegreeOption> options =
        degree_options(run, files->config, needs(longest), devices, job);
    run.tensor_parallel = choose_degree(options);  // fails on all ranks or on none
    if (world->is_root()) info(format_degrees(options));
}

// What will be taken, before anything is loaded.
void ModelSetup::plan_memory_use(std::int64_t longest) {
    if (devices.cuda()) {
        const std::uint64_t room = devices.group_room(
            topology->grid, topology->grid.place(topology->rank).replica, run.gpu_memory_fraction);
        kv_tokens = choose_device_kv_tokens(run, files->config, needs(longest), room);
        memory = plan_device(run, files->config, needs(longest), run.tensor_parallel, kv_tokens);
        return;
    }
    program = program_bytes();
    const int ranks = topology->local_size, sharers = topology->sharers.size();
    // What the ranks hold already is not to be had a second time, nor asked for.
    const std::string problem = memory_problem(
        cpu_plan(std::max(longest, run.kv_tokens)), {ranks, (ranks + sharers - 1) / sharers},
        available_memory() + static_cast<std::uint64_t>(ranks) * program);
    if (!problem.empty()) throw UserError(problem);
}

MemoryPlan ModelSetup::cpu_plan(std::int64_t tokens) const {
    MemoryPlan plan =
        plan_memory(files->config, run.tensor_parallel, tokens, run.step_tokens, topology->threads);
    plan.process = program;
    return plan;
}

void ModelSetup::load_weights(std::int64_t longest) {
    BackendRequest request;
    request.device_bytes = memory.total();
    request.tp_invariant = run.tp_invariant;
    request.deadline_seconds = run.device_timeout;
    request.record_steps = run.record_steps;
    request.max_context = needs(longest).longest_request;  // as planned
    if (transport == "staged") request.transport = DeviceTransport::staged;
    backend = make_backend(*topology, files->config, request);
    Progress progress("load", "bytes",
                      checkpoint->total_bytes() / static_cast<std::uint64_t>(run.tensor_parallel));
    model = Model::load(*checkpoint, files->config, *backend, run.step_tokens,
                        [&](std::uint64_t done, std::uint64_t) { progress.update(done); });
    progress.finish();
}

// On CPUs, the KV cache takes from what is free once the weights are loaded. It must be the same on
// all ranks of a group, whatever their nodes have free.
void ModelSetup::choose_cpu_kv_tokens(std::int64_t longest) {
    std::int64_t free_bytes = 0;
    agree(*world, "measure free memory", [&] {
        free_bytes = static_cast<std::int64_t>(available_memory() /
                                               static_cast<std::uint64_t>(topology->local_size));
    });
    free_bytes = world->min(free_bytes);
    agree(*world, "share out the memory", [&] {
        kv_tokens =
            choose_kv_tokens(run, files->config, longest, static_cast<std::uint64_t>(free_bytes));
    });
    memory = cpu_plan(kv_tokens);
}

void ModelSetup::find_model() {
    find_devices();
    if (run.tensor_parallel > 0) lay_out();
    agree(*world, "read the model's configuration and tokenizer", [&] {
        checkpoint = std::make_unique<Checkpoint>(Checkpoint::open(run.model_path));
        files = std::make_unique<ModelFiles>(load_model_files(run));
    });
}

void ModelSetup::load_model(std::int64_t longest) {
    if (!topology) {
        choose_degree_for(longest);
        lay_out();
    }
    agree(*world, "check the memory", [&] { plan_memory_use(longest); });
    agree(*world, "load the model", [&] { load_weights(longest); });
    if (!devices.cuda()) choose_cpu_kv_tokens(longest);
    agree(*world, "prepare the engine", [&] {
        engine = std::make_unique<Engine>(*model, files->tokenizer,
                                          EngineOptions{.max_step_rows = run.step_tokens,
                                                        .kv_tokens = kv_tokens,
                                                        .prefix_reuse = run.prefix_reuse});
    });
}

std::string describe_memory(const MemoryPlan& plan) {
    const std::string resident =
        cat("memory of this rank: at most ", format_bytes(peak_resident_bytes()),
            " were resident; planned: ");
    const std::string parts =
        cat("weights ", format_bytes(plan.weights), ", keys and values ",
            format_bytes(plan.kv_cache), ", workspace ", format_bytes(plan.workspace));
    if (plan.on_device)
        return cat(resident, "on the device ", parts, ", together ", format_bytes(plan.total()));
    return cat(resident, parts, ", embeddings ", format_bytes(plan.table), ", the program ",
               format_bytes(plan.process), ", together ", format_bytes(plan.resident()));
}

}  // namespace muster
