#include "muster/eval/degree.h"

#include <algorithm>
#include <iomanip>
#include <map>
#include <sstream>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/eval/setup.h"

namespace muster {

namespace {

/// World ranks that would be left over at this degree: at the end of every node, or of the world.
std::vector<int> left_over(const JobShape& job, int tp, bool across_nodes) {
    std::map<int, std::vector<int>> nodes;
    for (std::size_t rank = 0; rank < job.nodes.size(); ++rank)
        nodes[across_nodes ? 0 : job.nodes[rank]].push_back(static_cast<int>(rank));
    std::vector<int> ranks;
    for (const auto& [node, members] : nodes) {
        const auto rest = static_cast<std::ptrdiff_t>(members.size()) % tp;
        ranks.insert(ranks.end(), members.end() - rest, members.end());
    }
    return ranks;
}

/// "rank 6 on node1, rank 7 on node1 and 3 more".
std::string name_ranks(const std::vector<int>& ranks, const JobShape& job) {
    constexpr std::size_t kNamed = 4;
    std::vector<std::string> names;
    for (const int rank : ranks)
        if (names.size() < kNamed)
            names.push_back(cat("rank ", rank, " on ", job.hosts[static_cast<std::size_t>(rank)]));
    return cat(join(names, ", "),
               ranks.size() > kNamed ? cat(" and ", ranks.size() - kNamed, " more") : "");
}

std::int64_t least_kv_tokens(const RunConfig& run, const ModelConfig& config,
                             const DeviceNeeds& needs, int tp) {
    std::int64_t tokens = std::max(needs.longest_request, 2 * run.step_tokens);
    tokens = std::max(tokens, run.kv_tokens);
    const auto asked = static_cast<std::int64_t>(run.kv_memory / kv_bytes_per_token(config, tp));
    return round_to_pages(std::max(tokens, asked));
}

}  // namespace

std::vector<DegreeOption> degree_options(const RunConfig& run, const ModelConfig& config,
                                         const DeviceNeeds& needs, const JobDevices& devices,
                                         const JobShape& job) {
    const auto world = static_cast<int>(job.nodes.size());
    std::map<int, int> ranks_on;
    for (const int node : job.nodes) ++ranks_on[node];
    int most_ranks = 1;
    for (const auto& [node, ranks] : ranks_on) most_ranks = std::max(most_ranks, ranks);

    std::vector<DegreeOption> options;
    for (const int tp : legal_tp_degrees(config)) {
        DegreeOption option;
        option.tp = tp;
        const std::int64_t kv_tokens = least_kv_tokens(run, config, needs, tp);
        if (devices.cuda()) {
            option.plan = plan_device(run, config, needs, tp, kv_tokens);
            option.needed = option.plan.total();
            option.available = devices.least_room(run.gpu_memory_fraction, tp);
        } else {
            option.plan = plan_memory(config, tp, kv_tokens, run.step_tokens, job.threads);
            option.needed = node_bytes(option.plan, {most_ranks, std::min(tp, most_ranks)});
            option.available = job.node_memory;
        }
        const std::vector<int> rest = left_over(job, tp, run.tp_across_nodes);
        if (tp > world)
            option.problem =
                cat("more than the ", world, world == 1 ? " rank" : " ranks", " of the job");
        else if (!rest.empty())
            option.problem = cat("leaves over ", name_ranks(rest, job));
        else if (option.needed > option.available)
            option.problem = "does not fit";
        options.push_back(option);
    }
    return options;
}

std::string format_degrees(const std::vector<DegreeOption>& options) {
    std::ostringstream out;
    out << "tensor-parallel degrees of this model, per rank with the least keys and values\n";
    out << std::setw(4) << "tp" << std::setw(12) << "weights" << std::setw(12) << "workspace"
        << std::setw(12) << "kv" << std::setw(12) << "needed" << std::setw(12) << "available";
    bool taken = false;
    for (const DegreeOption& option : options) {
        out << '\n' << std::setw(4) << option.tp;
        for (const std::uint64_t bytes : {option.plan.weights, option.plan.workspace,
                                          option.plan.kv_cache, option.needed, option.available})
            out << std::setw(12) << format_bytes(bytes);
        out << "  " << (!option.problem.empty() ? option.problem : taken ? "fits" : "taken");
        taken |= option.problem.empty();
    }
    return out.str();
}

int choose_degree(const std::vector<DegreeOption>& options) {
    for (const DegreeOption& option : options)
        if (option.problem.empty()) return option.tp;
    throw UserError(
        cat("--tp auto: no degree can be taken\n", format_degrees(options),
            "\nexpected one that fits: more ranks per node, fewer tokens (--max-length, "
            "--step-tokens, --kv-tokens), or larger devices"));
}

}  // namespace muster
