#include "muster/eval/plan_report.h"

#include <algorithm>
#include <cstdio>
#include <iomanip>
#include <sstream>

#include "generation_options.h"
#include "muster/base/text.h"
#include "muster/engine/engine.h"
#include "muster/eval/degree.h"
#include "muster/eval/device_memory.h"
#include "muster/eval/setup.h"
#include "muster/eval/topology.h"
#include "muster/eval/work_plan.h"
#include "muster/mpi/host.h"
#include "muster/results/result_file.h"
#include "muster/tensor/checkpoint.h"

namespace muster {

namespace {

std::string tera(double operations) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, operations < 1e14 ? "%.3f" : "%.0f", operations / 1e12);
    return buffer;
}

/// Operations of a task: the decoder at the mean context of each request's own tokens, and the
/// output head on scored or sampled rows.
double task_operations(const WorkPlan& plan, const PlannedTask& task, const ModelConfig& config) {
    const double head =
        2.0 * static_cast<double>(config.hidden_size) * static_cast<double>(config.vocab_size);
    double operations = head * static_cast<double>(task.scored_tokens + task.max_generated_tokens);
    for (std::size_t id = task.first_request; id < task.first_request + task.num_requests; ++id) {
        const double tokens = plan.costs[id];
        const double end = static_cast<double>(kv_tokens_needed(plan.requests[id]));
        operations += tokens * flops_per_token(config, end - tokens / 2);
    }
    return operations;
}

int ranks_on(const PlannedJob& job, int node) {
    return static_cast<int>(std::count(job.nodes.begin(), job.nodes.end(), node));
}

int threads_of(const RunConfig& run, int local_ranks) {
    return run.threads > 0 ? std::min(run.threads, affinity_cores()) : default_threads(local_ranks);
}

void print_ranks(std::ostream& out, const RunConfig& run, const ProcessGrid& grid,
                 const PlannedJob& job) {
    std::vector<RankInfo> ranks;
    for (int rank = 0; rank < grid.world_size(); ++rank) {
        RankInfo info;
        info.place = grid.place(rank);
        info.host = job.hosts[static_cast<std::size_t>(rank)];
        info.threads = threads_of(run, ranks_on(job, job.nodes[static_cast<std::size_t>(rank)]));
        set_device(info, job.devices);
        ranks.push_back(info);
    }
    out << "Layout: " << grid.num_replicas() << " replica(s) × " << run.tensor_parallel
        << " tensor-parallel rank(s) on " << grid.num_nodes() << " node(s)\n"
        << format_topology(ranks) << "\n";
    for (const std::string& warning : job.devices.warnings) out << "  " << warning << "\n";
    for (const std::string& warning : uneven_groups(job.devices, grid))
        out << "  " << warning << "\n";
    if (!job.devices.why.empty()) out << "  on CPUs: " << job.devices.why << "\n";
    if (job.devices.cuda() && run.tensor_parallel > 1) {
        const std::string warning = transport_warning(job.devices, grid, run.device_transport);
        if (!warning.empty()) out << "  " << warning << "\n";
        out << "  devices exchange by "
            << name_of(choose_transport(job.devices, grid, run.device_transport)) << "\n";
    }
    out << "\n";
}

void print_model(std::ostream& out, const RunConfig& run, const ModelFiles& files) {
    const ModelConfig& c = files.config;
    out << "Model: " << run.model_path << "\n  " << c.architecture << ", " << c.num_layers
        << " layers, hidden " << c.hidden_size << ", heads " << c.num_heads << "/" << c.num_kv_heads
        << " of " << c.head_dim << ", ";
    if (c.num_experts > 0)
        out << c.experts_per_token << " of " << c.num_experts << " experts of ffn ";
    else
        out << "ffn ";
    out << c.intermediate_size << ", vocabulary " << c.vocab_size << ", computed in "
        << name_of(c.dtype) << "\n  context " << files.max_length << " tokens";
    if (c.sliding_window > 0) {
        out << ", sliding window " << c.sliding_window;
        const auto full = std::count(c.full_layers.begin(), c.full_layers.end(), true);
        if (full > 0) out << " in " << c.num_layers - full << " of the layers";
    }
    out << "; checkpoint " << format_bytes(Checkpoint::open(run.model_path).total_bytes())
        << "; tensor-parallel degrees";
    for (int degree : legal_tp_degrees(c)) out << " " << degree;
    out << "\n  " << files.tokenizer.description() << "\n\n";
}

/// Bytes besides the model: of every rank, and of rank 0 alone.
struct OtherMemory {
    std::uint64_t program = 0, tasks = 0;
};

/// What each rank and each node holds; `slices` different weights lie on a node.
void print_memory(std::ostream& out, const RunConfig& run, const ModelConfig& config,
                  std::int64_t kv_tokens, int ranks, int slices, const OtherMemory& other) {
    MemoryPlan memory = plan_memory(config, run.tensor_parallel, kv_tokens, run.step_tokens,
                                    threads_of(run, ranks));
    memory.process = other.program;
    const NodeShare node{ranks, run.tp_across_nodes ? ranks : std::min(ranks, slices)};
    out << "Memory per rank: weights " << format_bytes(memory.weights) << ", keys and values "
        << format_bytes(memory.kv_cache) << " ("
        << format_count(static_cast<std::uint64_t>(kv_tokens)) << " tokens), workspace "
        << format_bytes(memory.workspace) << ", together " << format_bytes(memory.total())
        << ";\n  resident up to " << format_bytes(memory.resident())
        << " with the embeddings in the mapped file " << format_bytes(memory.table)
        << " and the program itself " << format_bytes(memory.process)
        << ";\n  rank 0 also holds the tasks, " << format_bytes(other.tasks)
        << "\nMemory per node: " << format_bytes(node_bytes(memory, node) + other.tasks) << " for "
        << ranks << " rank(s), which keep " << node.copies << " cop"
        << (node.copies == 1 ? "y" : "ies") << " of the weights; available here "
        << format_bytes(available_memory()) << "\n";
}

/// The same on devices, where there is the least room.
void print_device_memory(std::ostream& out, const RunConfig& run, const ModelConfig& config,
                         const DeviceNeeds& needs, const JobDevices& devices) {
    const std::uint64_t room = devices.least_room(run.gpu_memory_fraction, run.tensor_parallel);
    const std::int64_t kv_tokens = choose_device_kv_tokens(run, config, needs, room);
    const MemoryPlan memory = plan_device(run, config, needs, run.tensor_parallel, kv_tokens);
    out << "Memory of each device: weights " << format_bytes(memory.weights) << ", keys and values "
        << format_bytes(memory.kv_cache) << " ("
        << format_count(static_cast<std::uint64_t>(kv_tokens)) << " tokens), workspace "
        << format_bytes(memory.workspace) << ", together " << format_bytes(memory.total())
        << " per rank, which may take " << format_bytes(room) << "\n";
}

/// --tp auto.
void settle_degree(std::ostream& out, RunConfig& run, const ModelConfig& config,
                   const DeviceNeeds& needs, const PlannedJob& job) {
    int most = 1;
    for (const int node : job.nodes) most = std::max(most, ranks_on(job, node));
    const std::vector<DegreeOption> options =
        degree_options(run, config, needs, job.devices,
                       {job.nodes, job.hosts, available_memory(), threads_of(run, most)});
    run.tensor_parallel = choose_degree(options);
    out << format_degrees(options) << "\n\n";
}

void print_tasks(std::ostream& out, const WorkPlan& plan, const ModelConfig& config) {
    std::size_t width = 5;
    for (const PlannedTask& task : plan.tasks) width = std::max(width, task.spec.name.size());
    const auto line = [&](const std::string& name, const std::vector<std::string>& cells) {
        out << "  " << name << std::string(width - std::min(width, name.size()), ' ');
        for (const std::string& cell : cells) out << std::setw(15) << cell;
        out << "\n";
    };
    out << "Tasks\n";
    line("task", {"documents", "requests", "asked tokens", "to compute", "scored", "generated ≤",
                  "truncated", "TFLOP"});
    std::size_t documents = 0, requests = 0, truncated = 0;
    std::uint64_t asked = 0, input = 0, scored = 0, generated = 0;
    double operations = 0;
    for (const PlannedTask& task : plan.tasks) {
        const double own = task_operations(plan, task, config);
        line(task.spec.name,
             {format_count(task.samples.size()), format_count(task.num_requests),
              format_count(task.asked_tokens), format_count(task.input_tokens),
              format_count(task.scored_tokens), format_count(task.max_generated_tokens),
              format_count(task.num_truncated), tera(own)});
        documents += task.samples.size(), requests += task.num_requests,
            truncated += task.num_truncated;
        asked += task.asked_tokens, input += task.input_tokens, scored += task.scored_tokens,
            generated += task.max_generated_tokens, operations += own;
    }
    line("total", {format_count(documents), format_count(requests), format_count(asked),
                   format_count(input), format_count(scored), format_count(generated),
                   format_count(truncated), tera(operations)});
}

/// How the tasks that generate do so.
void print_generation(std::ostream& out, const WorkPlan& plan, const GenerationDefaults& defaults) {
    bool any = false;
    for (const PlannedTask& task : plan.tasks) {
        if (task.spec.output_type != OutputType::generate_until) continue;
        if (!any) out << "\nGeneration\n";
        any = true;
        out << "  " << task.spec.name << ": " << describe(task.sampling) << ", at most "
            << task.spec.generation.max_gen_toks << " tokens\n";
    }
    if (!any) return;
    out << "  What neither run nor task says is "
        << (defaults.place.empty() ? "off (--generation-defaults none)" : "as in " + defaults.place)
        << "\n";
}

}  // namespace

std::string format_plan(RunConfig run, const PlannedJob& job) {
    std::ostringstream out;
    if (run.step_tokens == 0) run.step_tokens = default_step_tokens(job.devices.cuda());
    const bool choose_tp = run.tensor_parallel == 0;
    // A layout that cannot be is said before the tasks are read.
    if (!choose_tp) ProcessGrid(job.nodes, run.tensor_parallel, run.tp_across_nodes);
    const ModelFiles files = load_model_files(run);
    ResultWriter::check_writable(run.output, run.overwrite);
    OtherMemory other;
    other.program = program_bytes();
    const WorkPlan plan = make_work_plan(select_tasks(run), run, files, default_threads(1));
    other.tasks = std::max(program_bytes(), other.program) - other.program;
    const DeviceNeeds needs{std::max<std::int64_t>(plan.longest_request, 1),
                            stored_dtype(Checkpoint::open(run.model_path))};
    if (choose_tp) settle_degree(out, run, files.config, needs, job);

    const ProcessGrid grid(job.nodes, run.tensor_parallel, run.tp_across_nodes);
    print_ranks(out, run, grid, job);
    print_model(out, run, files);
    if (job.devices.cuda()) {
        print_device_memory(out, run, files.config, needs, job.devices);
    } else {
        const int per_node = ranks_on(job, job.nodes.front());
        const std::int64_t kv_tokens =
            choose_kv_tokens(run, files.config, plan.longest_request,
                             available_memory() / static_cast<std::uint64_t>(per_node));
        print_memory(out, run, files.config, kv_tokens, per_node,
                     run.tp_across_nodes ? 1 : run.tensor_parallel, other);
    }
    out << "Longest request " << plan.longest_request << " tokens\n\n";
    print_tasks(out, plan, files.config);
    print_generation(out, plan, files.generation);
    return out.str();
}

}  // namespace muster
