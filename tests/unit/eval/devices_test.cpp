// Devices of a whole job: nodes are bound one by one, and what follows from it for memory and
// transport.

#include <doctest/doctest.h>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/eval/devices.h"
#include "muster/eval/topology.h"

using namespace muster;

namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

Device device(int ordinal, const std::string& uuid, std::uint64_t free = 100 * kGiB) {
    return {.ordinal = ordinal,
            .name = "H200",
            .uuid = "GPU-" + uuid,
            .pci_bus_id = uuid,
            .compute_capability = 90,
            .total_bytes = 141 * kGiB,
            .free_bytes = free};
}

RankReport report(const std::string& host, const std::vector<std::string>& uuids) {
    RankReport report{host, "", "", {}};
    for (const std::string& uuid : uuids)
        report.visible.push_back(device(static_cast<int>(report.visible.size()), uuid));
    return report;
}

std::string error_of(const std::vector<int>& nodes, const std::vector<RankReport>& reports) {
    try {
        bind_job(nodes, reports, "cuda", false);
    } catch (const UserError& e) {
        return e.what();
    }
    return "";
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// Two nodes with two devices each, ranks dealt out in turn.
const std::vector<int> kNodes{0, 1, 0, 1};
std::vector<RankReport> two_nodes() {
    return {report("n0", {"a", "b"}), report("n1", {"c", "d"}), report("n0", {"a", "b"}),
            report("n1", {"c", "d"})};
}

}  // namespace

TEST_CASE("ranks are bound on their own node, not by their number in the world") {
    const JobDevices job = bind_job(kNodes, two_nodes(), "cuda", false);
    REQUIRE(job.cuda());
    std::string uuids;
    for (const Device& bound : job.bound) uuids += bound.uuid.substr(4);
    CHECK(uuids == "acbd");
    CHECK(job.bound[1].ordinal == 0);
    CHECK(job.bound[3].ordinal == 1);
    CHECK(job.sharers == std::vector<int>{1, 1, 1, 1});
    CHECK(job.warnings.empty());
}

TEST_CASE("cpu asks for nothing; auto takes CPUs where a rank has no device, and says why") {
    CHECK_FALSE(bind_job(kNodes, two_nodes(), "cpu", false).cuda());
    CHECK(bind_job(kNodes, two_nodes(), "auto", false).cuda());

    std::vector<RankReport> reports = two_nodes();
    reports[2].visible.clear();
    CHECK(has(error_of(kNodes, reports), "n0: rank 2 sees no CUDA device"));
    const JobDevices job = bind_job(kNodes, reports, "auto", false);
    CHECK_FALSE(job.cuda());
    CHECK(job.left_alone);
    CHECK(job.why == error_of(kNodes, reports));

    const JobDevices nothing =
        bind_job({0}, {RankReport{"n0", "no NVIDIA driver on this node", {}}}, "auto", false);
    CHECK_FALSE(nothing.left_alone);
    CHECK(nothing.why == "no NVIDIA driver on this node");
}

TEST_CASE("what is missing on one rank is said with rank and host") {
    std::vector<RankReport> reports = two_nodes();
    reports[3].problem = "libmuster_cuda.so: not in /x";
    CHECK(error_of(kNodes, reports) == "[rank 3 on n1] libmuster_cuda.so: not in /x");
}

TEST_CASE("a device without kernels is refused by name") {
    std::vector<RankReport> reports = two_nodes();
    reports[0].visible[0].compute_capability = 70;
    CHECK(has(error_of(kNodes, reports), "n0: device GPU-a (H200) has compute capability 7.0"));
    for (const int capability : {80, 86, 89, 90}) {
        reports[0].visible[0].compute_capability = capability;
        CHECK(error_of(kNodes, reports).empty());
    }
    reports[0].visible[0].compute_capability = 100;
    CHECK(has(error_of(kNodes, reports), "10.0"));
}

TEST_CASE("unused devices, shared ones and unlike nodes are told of") {
    const JobDevices job =
        bind_job({0, 0, 0, 1},
                 {report("n0", {"a", "b", "c", "d"}), report("n0", {"a", "b", "c", "d"}),
                  report("n0", {"a", "b", "c", "d"}), report("n1", {"e"})},
                 "cuda", false);
    REQUIRE(job.warnings.size() == 2);
    CHECK(has(job.warnings[0], "n0: 1 of 4 devices stay unused (GPU-d)"));
    CHECK(has(job.warnings[1], "n1 has 1, n0 has 3"));

    const JobDevices shared = bind_job(
        {0, 0, 0}, {report("n0", {"a"}), report("n0", {"a"}), report("n0", {"a"})}, "cuda", true);
    REQUIRE(shared.warnings.size() == 1);
    CHECK(has(shared.warnings[0], "n0: ranks 0, 1, 2 share device GPU-a"));
    CHECK(shared.sharers == std::vector<int>{3, 3, 3});
}

TEST_CASE("memory: a fraction of what is free, by sharers; the least of a group counts") {
    std::vector<RankReport> reports = two_nodes();
    reports[2].visible[1].free_bytes = 60 * kGiB;  // rank 2's own
    const JobDevices job = bind_job(kNodes, reports, "cuda", false);
    const ProcessGrid grid(kNodes, 2, false);
    CHECK(job.room(0, 0.5, 2) == 50 * kGiB);
    CHECK(job.room(2, 0.5, 2) == 30 * kGiB);
    CHECK(job.group_room(grid, 0, 0.5) == 30 * kGiB);
    CHECK(job.group_room(grid, 1, 0.5) == 50 * kGiB);
    CHECK(job.least_room(0.5, 2) == 30 * kGiB);
    const std::vector<std::string> warnings = uneven_groups(job, grid);
    REQUIRE(warnings.size() == 1);
    CHECK(has(warnings[0], "replica 0: rank 2 has 60.0 GiB free on its device, rank 0 100.0 GiB"));

    const JobDevices shared =
        bind_job({0, 0}, {report("n0", {"a"}), report("n0", {"a"})}, "cuda", true);
    CHECK(shared.room(1, 0.5, 1) == 25 * kGiB);
    CHECK(shared.room(1, 1.0, 2) == 50 * kGiB);
}

TEST_CASE("memory: a group on devices of their own leaves NCCL what it takes") {
    const auto of = [](std::uint64_t bytes, double fraction, int tp) {
        return planned_devices(8, bytes).least_room(fraction, tp);
    };
    CHECK(of(40 * kGiB, 1.0, 1) == 40 * kGiB);
    CHECK(of(40 * kGiB, 1.0, 2) == 38 * kGiB);
    CHECK(of(40 * kGiB, 1.0, 8) == 35 * kGiB);
    CHECK(of(40 * kGiB, 1.0, 16) == of(40 * kGiB, 1.0, 8));
    CHECK(of(16 * kGiB, 1.0, 8) == 14 * kGiB);
    // A fraction that leaves more decides.
    CHECK(of(40 * kGiB, 0.5, 8) == 20 * kGiB);
}

TEST_CASE("transport: NCCL, unless ranks of one group are on one GPU") {
    const ProcessGrid grid(kNodes, 2, false);
    JobDevices job = bind_job(kNodes, two_nodes(), "cuda", false);
    CHECK(choose_transport(job, grid, "auto") == DeviceTransport::nccl);
    CHECK(choose_transport(job, grid, "staged") == DeviceTransport::staged);
    // The same bus on two nodes is not the same GPU.
    job.bound[1].pci_bus_id = job.bound[0].pci_bus_id;
    CHECK(choose_transport(job, grid, "auto") == DeviceTransport::nccl);
    // Instances of one GPU have UUIDs of their own and one bus.
    job.bound[2].pci_bus_id = job.bound[0].pci_bus_id;
    CHECK(choose_transport(job, grid, "auto") == DeviceTransport::staged);
    CHECK(choose_transport(job, grid, "nccl") == DeviceTransport::nccl);
    CHECK(choose_transport(job, ProcessGrid(kNodes, 1, false), "auto") == DeviceTransport::nccl);
}

TEST_CASE(
    "transport: a rank without NCCL leaves the memory of the hosts, with a warning, or an error") {
    const ProcessGrid grid(kNodes, 2, false);
    std::vector<RankReport> reports = two_nodes();
    reports[2].nccl = "libnccl.so.2 is gone";
    JobDevices job = bind_job(kNodes, reports, "cuda", false);
    CHECK(choose_transport(job, grid, "auto") == DeviceTransport::staged);
    CHECK(has(transport_warning(job, grid, "auto"), "[rank 2 on n0] libnccl.so.2 is gone"));
    CHECK(choose_transport(job, grid, "staged") == DeviceTransport::staged);
    CHECK(transport_warning(job, grid, "staged").empty());
    CHECK_THROWS_WITH_AS(choose_transport(job, grid, "nccl"),
                         "--device-transport nccl: [rank 2 on n0] libnccl.so.2 is gone", UserError);
    // Where NCCL could not be used anyway, nobody misses it.
    job.bound[2].pci_bus_id = job.bound[0].pci_bus_id;
    CHECK(transport_warning(job, grid, "auto").empty());
    CHECK(transport_warning(bind_job(kNodes, two_nodes(), "cuda", false), grid, "auto").empty());
}

TEST_CASE("compute modes: one process at a time, or none") {
    std::vector<RankReport> reports{report("n0", {"a"}), report("n0", {"a"})};
    for (RankReport& each : reports) each.visible[0].exclusive = true;
    try {
        bind_job({0, 0}, reports, "cuda", true);
        FAIL("two processes on an exclusive device");
    } catch (const UserError& e) {
        CHECK(has(e.what(), "n0: ranks 0, 1 are to share device GPU-a"));
        CHECK(has(e.what(), "EXCLUSIVE_PROCESS"));
        CHECK(has(e.what(), "MPS"));
    }
    CHECK(has(bind_job({0, 0}, reports, "auto", true).why, "EXCLUSIVE_PROCESS"));
    reports[1] = report("n0", {"b"});
    reports[1].visible[0].exclusive = true;
    CHECK(bind_job({0, 0}, reports, "cuda", false).cuda());  // each has its own
    reports[1].visible[0].prohibited = true;
    CHECK(has(error_of({0, 0}, reports), "device GPU-b is in compute mode PROHIBITED"));
}

TEST_CASE("the table of ranks has a device's columns where there are devices") {
    std::vector<RankInfo> ranks(2);
    ranks[0].host = ranks[1].host = "n0";
    ranks[1].place.rank = 1;
    for (RankInfo& info : ranks) set_device(info, {});
    CHECK(ranks[0].device == "cpu");
    CHECK(ranks[0].bound.ordinal == -1);
    CHECK_FALSE(has(format_topology(ranks), "uuid"));
    const JobDevices job = planned_devices(2, 7 * kGiB);
    for (RankInfo& info : ranks) set_device(info, job);
    const std::string table = format_topology(ranks);
    for (const char* part : {"uuid", "ordinal", "cuda", "planned-1", "7.0 GiB"})
        CHECK_MESSAGE(has(table, part), part, " in ", table);
}
