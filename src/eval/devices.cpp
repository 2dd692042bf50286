#include "muster/eval/devices.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/eval/topology.h"
#include "muster/mpi/host.h"

namespace muster {

namespace {

/// World ranks by node, each ascending, hence by local rank.
std::map<int, std::vector<int>> ranks_by_node(const std::vector<int>& nodes) {
    std::map<int, std::vector<int>> ranks;
    for (std::size_t rank = 0; rank < nodes.size(); ++rank)
        ranks[nodes[rank]].push_back(static_cast<int>(rank));
    return ranks;
}

/// The first rank's that has one, with its place; "" if none has.
std::string problem_of(const std::vector<RankReport>& reports, std::string RankReport::*what) {
    for (std::size_t rank = 0; rank < reports.size(); ++rank)
        if (!(reports[rank].*what).empty())
            return cat(
                reports.size() == 1 ? "" : cat("[rank ", rank, " on ", reports[rank].host, "] "),
                reports[rank].*what);
    return "";
}

void check_reports(const std::vector<RankReport>& reports) {
    const std::string problem = problem_of(reports, &RankReport::problem);
    if (!problem.empty()) throw UserError(problem);
}

/// The module holds code for sm_80, which all of 8.x run, and for sm_90a alone of 9.x.
void check_capability(const std::string& host, const Device& device) {
    const int capability = device.compute_capability;
    if (capability / 10 == 8 || capability == 90) return;
    throw UserError(cat(host, ": device ", device.uuid, " (", device.name,
                        ") has compute capability ", capability / 10, '.', capability % 10,
                        "; expected 8.x or 9.0, for which this program has kernels"));
}

/// Compute modes that the system's administrator set: a second process cannot open such a device.
void check_modes(const std::string& host, const std::vector<int>& ranks, const JobDevices& job) {
    std::map<std::string, std::vector<std::string>> users;
    for (const int rank : ranks) {
        const Device& device = job.bound[static_cast<std::size_t>(rank)];
        if (device.prohibited)
            throw UserError(
                cat(host, ": device ", device.uuid,
                    " is in compute mode PROHIBITED; expected DEFAULT: ask for `nvidia-smi "
                    "-c DEFAULT`, or leave it out of CUDA_VISIBLE_DEVICES"));
        if (device.exclusive) users[device.uuid].push_back(std::to_string(rank));
    }
    for (const auto& [uuid, names] : users)
        if (names.size() > 1)
            throw UserError(
                cat(host, ": ranks ", join(names, ", "), " are to share device ", uuid,
                    ", which is in compute mode EXCLUSIVE_PROCESS and takes one process; "
                    "expected one rank per device, MPS (nvidia-cuda-mps-control -d), or "
                    "compute mode DEFAULT (nvidia-smi -c DEFAULT)"));
}

void warn_of_unused(const std::string& host, const std::vector<RankDevices>& ranks,
                    const std::vector<Device>& bound, JobDevices& job) {
    std::set<std::string> seen, unused;
    for (const RankDevices& rank : ranks)
        for (const Device& device : rank.visible) seen.insert(device.uuid);
    unused = seen;
    for (const RankDevices& rank : ranks)
        unused.erase(bound[static_cast<std::size_t>(rank.rank)].uuid);
    if (unused.empty()) return;
    job.warnings.push_back(cat(host, ": ", unused.size(), " of ", seen.size(),
                               " devices stay unused (", join({unused.begin(), unused.end()}, ", "),
                               "); start as many ranks as there are devices"));
}

void count_sharers(JobDevices& job) {
    std::map<std::string, int> users;
    for (const Device& device : job.bound) ++users[device.uuid];
    for (const Device& device : job.bound) job.sharers.push_back(users[device.uuid]);
}

void warn_of_sharing(const std::string& host, const std::vector<int>& ranks, JobDevices& job) {
    std::map<std::string, std::vector<std::string>> users;
    for (const int rank : ranks)
        users[job.bound[static_cast<std::size_t>(rank)].uuid].push_back(std::to_string(rank));
    for (const auto& [uuid, names] : users)
        if (names.size() > 1)
            job.warnings.push_back(cat(host, ": ranks ", join(names, ", "), " share device ", uuid,
                                       " and its memory"));
}

void warn_of_uneven_nodes(const std::map<int, std::vector<int>>& nodes,
                          const std::vector<RankReport>& reports, JobDevices& job) {
    const auto fewer = [](const auto& a, const auto& b) {
        return a.second.size() < b.second.size();
    };
    const auto [least, most] = std::minmax_element(nodes.begin(), nodes.end(), fewer);
    if (least->second.size() == most->second.size()) return;
    const auto host = [&](const auto& node) {
        return reports[static_cast<std::size_t>(node->second.front())].host;
    };
    job.warnings.push_back(cat("nodes have unlike numbers of ranks: ", host(least), " has ",
                               least->second.size(), ", ", host(most), " has ", most->second.size(),
                               "; fine, if that is meant"));
}

JobDevices bind_all(const std::vector<int>& nodes, const std::vector<RankReport>& reports,
                    bool allow_sharing) {
    check_reports(reports);
    JobDevices job;
    job.bound.resize(reports.size());
    job.nccl_problem = problem_of(reports, &RankReport::nccl);
    const std::map<int, std::vector<int>> by_node = ranks_by_node(nodes);
    for (const auto& [node, members] : by_node) {
        std::vector<RankDevices> ranks;
        for (const int rank : members)
            ranks.push_back({rank, static_cast<int>(ranks.size()),
                             reports[static_cast<std::size_t>(rank)].visible});
        const std::string& host = reports[static_cast<std::size_t>(members.front())].host;
        const std::vector<int> ordinals = bind_devices(host, ranks, allow_sharing);
        for (std::size_t i = 0; i < ranks.size(); ++i) {
            const Device& device = ranks[i].visible.at(static_cast<std::size_t>(ordinals[i]));
            check_capability(host, device);
            job.bound[static_cast<std::size_t>(ranks[i].rank)] = device;
        }
        check_modes(host, members, job);
        warn_of_unused(host, ranks, job.bound, job);
        warn_of_sharing(host, members, job);
    }
    count_sharers(job);
    warn_of_uneven_nodes(by_node, reports, job);
    return job;
}

/// Looks at this rank's driver. A module is loaded for devices only, and NCCL for groups.
RankReport look(bool may_group) {
    RankReport report;
    report.host = host_name();
    try {
        std::string why;
        const std::unique_ptr<DeviceLister> driver = open_driver(why);
        if (driver) report.visible = driver->visible();
        if (!driver || !report.visible.empty()) report.problem = cuda_problem();
        if (!driver && report.problem.empty())
            report.problem = cat("the NVIDIA driver does not start: ", why);
        if (may_group && report.problem.empty() && !report.visible.empty())
            report.nccl = nccl_problem();
    } catch (const SystemError& e) {
        report.problem = e.what();
    }
    return report;
}

/// Fields are lines; what a driver says has none inside.
std::string pack(const RankReport& report) {
    const auto line = [](std::string text) {
        std::replace(text.begin(), text.end(), '\n', ' ');
        return text + "\n";
    };
    std::string bytes = line(report.host) + line(report.problem) + line(report.nccl);
    for (const Device& d : report.visible)
        bytes += line(d.name) + line(d.uuid) + line(d.pci_bus_id) +
                 line(cat(d.ordinal, ' ', d.mig, ' ', d.compute_capability, ' ', d.exclusive, ' ',
                          d.prohibited, ' ', d.total_bytes, ' ', d.free_bytes));
    return bytes;
}

RankReport unpack(const std::string& bytes) {
    std::istringstream in(bytes);
    RankReport report;
    std::getline(in, report.host);
    std::getline(in, report.problem);
    std::getline(in, report.nccl);
    Device d;
    while (std::getline(in, d.name) && std::getline(in, d.uuid) && std::getline(in, d.pci_bus_id)) {
        std::string numbers;
        std::getline(in, numbers);
        std::istringstream(numbers) >> d.ordinal >> d.mig >> d.compute_capability >> d.exclusive >>
            d.prohibited >> d.total_bytes >> d.free_bytes;
        report.visible.push_back(d);
    }
    return report;
}

/// Calls visit(replica, its world ranks).
template <typename Visit>
void for_each_group(const ProcessGrid& grid, const Visit& visit) {
    std::vector<std::vector<int>> groups(static_cast<std::size_t>(grid.num_replicas()));
    for (int rank = 0; rank < grid.world_size(); ++rank)
        groups[static_cast<std::size_t>(grid.place(rank).replica)].push_back(rank);
    for (std::size_t replica = 0; replica < groups.size(); ++replica)
        visit(static_cast<int>(replica), groups[replica]);
}

/// Whether no two ranks of one group have the same GPU.
bool own_gpus(const JobDevices& devices, const ProcessGrid& grid) {
    bool own = true;
    for_each_group(grid, [&](int, const std::vector<int>& ranks) {
        std::set<std::pair<int, std::string>> gpus;
        for (const int rank : ranks) {
            const Device& device = devices.bound[static_cast<std::size_t>(rank)];
            own &= gpus.insert({grid.place(rank).node, device.pci_bus_id}).second;
        }
    });
    return own;
}

/// What CUDA and NCCL take beside what a rank of a group allocates: of eight H100s connected by
/// NVLink 4.3 GB each, most of it buffers for each peer that the first all-to-all makes
/// (NVIDIA/nccl, issue 1685). Not more than an eighth of a device: small ones have slower links,
/// and fewer buffers.
std::uint64_t group_bytes(int tp, std::uint64_t free) {
    constexpr std::uint64_t kOfPeer = std::uint64_t{1} << 29, kAlone = 3 * kOfPeer;
    constexpr int kMostPeers = 7;  // by NVLink
    const auto peers = static_cast<std::uint64_t>(std::min(tp - 1, kMostPeers));
    return std::min(kAlone + peers * kOfPeer, free / 8);
}

}  // namespace

std::uint64_t JobDevices::room(int rank, double fraction, int tp) const {
    const std::uint64_t free = bound.at(static_cast<std::size_t>(rank)).free_bytes;
    const int sharing = sharers.at(static_cast<std::size_t>(rank));
    const auto part = static_cast<std::uint64_t>(static_cast<double>(free) * fraction / sharing);
    return tp > 1 && sharing == 1 ? std::min(part, free - group_bytes(tp, free)) : part;
}

std::uint64_t JobDevices::group_room(const ProcessGrid& grid, int replica, double fraction) const {
    std::uint64_t least = UINT64_MAX;
    for (int rank = 0; rank < grid.world_size(); ++rank)
        if (grid.place(rank).replica == replica)
            least = std::min(least, room(rank, fraction, grid.tensor_parallel()));
    return least;
}

std::uint64_t JobDevices::least_room(double fraction, int tp) const {
    std::uint64_t least = UINT64_MAX;
    for (std::size_t rank = 0; rank < bound.size(); ++rank)
        least = std::min(least, room(static_cast<int>(rank), fraction, tp));
    return least;
}

JobDevices bind_job(const std::vector<int>& nodes, const std::vector<RankReport>& reports,
                    const std::string& asked, bool allow_sharing) {
    if (asked == "cpu") return {};
    try {
        return bind_all(nodes, reports, allow_sharing);
    } catch (const UserError& e) {
        if (asked == "cuda") throw;
        JobDevices job;
        job.why = e.what();
        job.left_alone = std::any_of(reports.begin(), reports.end(),
                                     [](const RankReport& r) { return !r.visible.empty(); });
        return job;
    }
}

JobDevices choose_devices(const Communicator& world, const std::string& asked, bool allow_sharing,
                          bool may_group) {
    if (asked == "cpu") return {};
    std::vector<RankReport> reports;
    for (const std::string& bytes : world.all_gather(pack(look(may_group && world.size() > 1))))
        reports.push_back(unpack(bytes));
    return bind_job(node_of_rank(world), reports, asked, allow_sharing);
}

JobDevices planned_devices(int ranks, std::uint64_t bytes) {
    JobDevices job;
    for (int rank = 0; rank < ranks; ++rank)
        job.bound.push_back({.name = "planned",
                             .uuid = cat("planned-", rank),
                             .pci_bus_id = cat("planned-", rank),
                             .compute_capability = 90,
                             .total_bytes = bytes,
                             .free_bytes = bytes});
    count_sharers(job);
    return job;
}

std::vector<std::string> uneven_groups(const JobDevices& devices, const ProcessGrid& grid) {
    std::vector<std::string> warnings;
    if (!devices.cuda()) return warnings;
    for_each_group(grid, [&](int replica, const std::vector<int>& ranks) {
        const auto free = [&](int rank) {
            return devices.bound[static_cast<std::size_t>(rank)].free_bytes;
        };
        const auto [least, most] = std::minmax_element(
            ranks.begin(), ranks.end(), [&](int a, int b) { return free(a) < free(b); });
        if (free(*least) >= free(*most) / 20 * 19) return;
        warnings.push_back(cat("replica ", replica, ": rank ", *least, " has ",
                               format_bytes(free(*least)), " free on its device, rank ", *most, " ",
                               format_bytes(free(*most)), "; the least counts for all of them"));
    });
    return warnings;
}

DeviceTransport choose_transport(const JobDevices& devices, const ProcessGrid& grid,
                                 const std::string& asked) {
    if (asked == "nccl" && !devices.nccl_problem.empty())
        throw UserError(cat("--device-transport nccl: ", devices.nccl_problem));
    if (asked != "auto") return asked == "nccl" ? DeviceTransport::nccl : DeviceTransport::staged;
    return devices.nccl_problem.empty() && own_gpus(devices, grid) ? DeviceTransport::nccl
                                                                   : DeviceTransport::staged;
}

std::string transport_warning(const JobDevices& devices, const ProcessGrid& grid,
                              const std::string& asked) {
    if (asked != "auto" || devices.nccl_problem.empty() || !own_gpus(devices, grid)) return "";
    return cat("devices exchange through host memory, which is slow: ", devices.nccl_problem);
}

std::string name_of(DeviceTransport transport) {
    return transport == DeviceTransport::nccl ? "nccl" : "staged";
}

}  // namespace muster
