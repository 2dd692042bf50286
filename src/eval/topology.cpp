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
                       int threads, bool pinning, const JobDevices& devices) {
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
    const std::vector<std::string> gathered =
        world.all_gather(cat(threads, ' ', host_name(), ' ', format_ranges(places.cpus)));
    for (int rank = 0; rank < world.size(); ++rank) {
        std::istringstream line(gathered[static_cast<std::size_t>(rank)]);
        RankInfo& info = ranks[static_cast<std::size_t>(rank)];
        info.place = grid.place(rank);
        set_device(info, devices);
        line >> info.threads >> info.host >> info.cpus;
    }

    std::optional<Communicator> group = world.split(place.replica, place.tp_rank);
    std::optional<Communicator> leaders = world.split(place.tp_rank == 0 ? 0 : -1, place.replica);
    std::optional<Communicator> sharers = node.split(place.tp_rank, place.replica);
    return {std::move(grid),     std::move(ranks), std::move(*group), std::move(leaders),
            std::move(*sharers), world.rank(),     threads,           local_size,
            std::move(places),   devices};
}

void set_device(RankInfo& info, const JobDevices& devices) {
    info.device = devices.cuda() ? "cuda" : "cpu";
    info.bound = Device{.ordinal = -1};
    if (devices.cuda()) info.bound = devices.bound.at(static_cast<std::size_t>(info.place.rank));
}

std::unique_ptr<Backend> make_backend(const Topology& topology, const ModelConfig& config,
                                      const BackendRequest& request) {
    if (topology.devices.cuda()) {
        CudaOptions options;
        options.ordinal =
            topology.devices.bound.at(static_cast<std::size_t>(topology.rank)).ordinal;
        options.memory_bytes = request.device_bytes;
        options.transport = request.transport;
        options.tp_invariant = request.tp_invariant;
        options.max_context = request.max_context;
        options.deadline_seconds = request.deadline_seconds;
        options.record_steps = request.record_steps;
        return make_cuda_backend(options, topology.group);
    }
    CpuOptions options;
    options.sharers = &topology.sharers;
    options.shared_weight_bytes =
        plan_memory(config, topology.grid.tensor_parallel(), 0, 1).matrices;
    options.threads = topology.threads;
    options.cpus = topology.places.cpus;
    options.spin = !topology.places.crowded;
    options.instruction_set = request.instruction_set;
    return make_cpu_backend(options, topology.group);
}

std::string format_topology(const std::vector<RankInfo>& ranks) {
    std::size_t host_width = 4, uuid_width = 4;
    bool cuda = false;
    for (const RankInfo& info : ranks) {
        host_width = std::max(host_width, info.host.size());
        uuid_width = std::max(uuid_width, info.bound.uuid.size());
        cuda |= info.device == "cuda";
    }
    std::ostringstream out;
    const auto left = [&](const std::string& text, std::size_t width) {
        out << "  " << std::left << std::setw(static_cast<int>(width)) << text << std::right;
    };
    out << std::setw(6) << "rank";
    left("node", host_width);
    out << std::setw(12) << "local rank" << std::setw(9) << "replica" << std::setw(9) << "tp rank"
        << std::setw(8) << "device" << std::setw(9) << "threads";
    if (cuda) {
        out << std::setw(9) << "ordinal";
        left("uuid", uuid_width);
        out << std::setw(14) << "pci bus" << std::setw(12) << "free";
        left("name", 0);
    }
    left("cpus", 0);
    for (const RankInfo& info : ranks) {
        out << '\n' << std::setw(6) << info.place.rank;
        left(info.host, host_width);
        out << std::setw(12) << info.place.local_rank << std::setw(9) << info.place.replica
            << std::setw(9) << info.place.tp_rank << std::setw(8) << info.device << std::setw(9)
            << info.threads;
        if (cuda) {
            out << std::setw(9) << info.bound.ordinal;
            left(info.bound.uuid, uuid_width);
            out << std::setw(14) << info.bound.pci_bus_id << std::setw(12)
                << format_bytes(info.bound.free_bytes);
            left(info.bound.name, 0);
        }
        left(info.cpus.empty() ? "-" : info.cpus, 0);
    }
    return out.str();
}

}  // namespace muster
