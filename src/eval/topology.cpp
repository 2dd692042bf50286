#include "muster/eval/topology.h"

#include <algorithm>
#include <cstring>
#include <iomanip>
#include <map>
#include <sstream>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/mpi/agree.h"
#include "muster/mpi/host.h"

namespace muster {

namespace {

/// "0-3,8" for ascending numbers.
std::string format_ranges(const std::vector<int>& numbers) {
    std::string text;
    for (std::size_t i = 0, next = 0; i < numbers.size(); i = next) {
        for (next = i + 1; next < numbers.size() && numbers[next] == numbers[next - 1] + 1;) ++next;
        text += cat(text.empty() ? "" : ",", numbers[i]);
        if (next > i + 1) text += cat("-", numbers[next - 1]);
    }
    return text;
}

}  // namespace

std::vector<int> node_of_rank(const Communicator& world) {
    const Communicator node = world.split_by_node();
    // The lowest world rank of a node names it; nodes are numbered in that order.
    const int lowest = static_cast<int>(node.min(world.rank()));
    std::vector<int> names(static_cast<std::size_t>(world.size()));
    world.all_gather(std::as_bytes(std::span(&lowest, 1)),
                     std::as_writable_bytes(std::span(names)));
    std::map<int, int> index;
    for (int name : names) index.emplace(name, 0);
    int next = 0;
    for (auto& [name, number] : index) number = next++;
    for (int& name : names) name = index[name];
    return names;
}

Topology make_topology(const Communicator& world, int tensor_parallel, bool across_nodes,
                       int threads, bool pinning, const std::string& device) {
    const std::vector<int> nodes = node_of_rank(world);
    ProcessGrid grid(nodes, tensor_parallel,
                     across_nodes);  // same input, hence same error, everywhere
    const RankPlace place = grid.place(world.rank());
    const int local_size = static_cast<int>(std::count(nodes.begin(), nodes.end(), place.node));
    const Communicator node = world.split_by_node();
    if (threads == 0) threads = default_threads(node);
    threads = std::min(threads, affinity_cores());
    ThreadPlaces places = thread_places(node, threads, pinning);

    std::vector<RankInfo> ranks(static_cast<std::size_t>(world.size()));
    const std::vector<std::string> gathered = world.all_gather(
        cat(threads, ' ', host_name(), ' ', format_ranges(places.cpus)));
    for (int rank = 0; rank < world.size(); ++rank) {
        std::istringstream line(gathered[static_cast<std::size_t>(rank)]);
        RankInfo& info = ranks[static_cast<std::size_t>(rank)];
        info.place = grid.place(rank);
        info.device = device;
        line >> info.threads >> info.host >> info.cpus;
    }

    std::optional<Communicator> group = world.split(place.replica, place.tp_rank);
    std::optional<Communicator> leaders = world.split(place.tp_rank == 0 ? 0 : -1, place.replica);
    std::optional<Communicator> sharers = node.split(place.tp_rank, place.replica);
    return {std::move(grid),     std::move(ranks), std::move(*group), std::move(leaders),
            std::move(*sharers), threads,          local_size,        std::move(places)};
}

CpuOptions cpu_options(const Topology& topology, const ModelConfig& config) {
    CpuOptions options;
    options.sharers = &topology.sharers;
    options.shared_weight_bytes =
        plan_memory(config, topology.grid.tensor_parallel(), 0, 1).matrices;
    options.threads = topology.threads;
    options.cpus = topology.places.cpus;
    options.spin = !topology.places.crowded;
    return options;
}

std::string format_topology(const std::vector<RankInfo>& ranks) {
    std::size_t host_width = 4;
    for (const RankInfo& info : ranks) host_width = std::max(host_width, info.host.size());
    std::ostringstream out;
    out << std::setw(6) << "rank"
        << "  " << std::left << std::setw(static_cast<int>(host_width)) << "node" << std::right
        << std::setw(12) << "local rank" << std::setw(9) << "replica" << std::setw(9) << "tp rank"
        << std::setw(8) << "device" << std::setw(9) << "threads"
        << "  cpus";
    for (const RankInfo& info : ranks)
        out << '\n'
            << std::setw(6) << info.place.rank << "  " << std::left
            << std::setw(static_cast<int>(host_width)) << info.host << std::right << std::setw(12)
            << info.place.local_rank << std::setw(9) << info.place.replica << std::setw(9)
            << info.place.tp_rank << std::setw(8) << info.device << std::setw(9) << info.threads
            << "  " << (info.cpus.empty() ? "-" : info.cpus);
    return out.str();
}

}  // namespace muster
