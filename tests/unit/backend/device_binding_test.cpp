// Which device each rank of a node takes, for everything that launchers do to ranks. A rank is
// written as the devices it sees, one letter each: "ABCD".

#include <doctest/doctest.h>

#include "muster/backend/device.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

using namespace muster;

namespace {

/// World ranks are 10 and up, so that nothing can lean on them.
std::vector<RankDevices> node(const std::vector<std::string>& ranks) {
    std::vector<RankDevices> node;
    for (const std::string& letters : ranks) {
        const int local = static_cast<int>(node.size());
        RankDevices& rank = node.emplace_back(RankDevices{10 + local, local, {}});
        for (const char letter : letters)
            rank.visible.push_back({.ordinal = static_cast<int>(rank.visible.size()),
                                    .uuid = std::string("GPU-") + letter});
    }
    return node;
}

/// The letters of the devices that the ranks get: "ABCD".
std::string bound(const std::vector<std::string>& ranks, bool allow_sharing = false) {
    const std::vector<int> ordinals = bind_devices("node7", node(ranks), allow_sharing);
    REQUIRE(ordinals.size() == ranks.size());
    std::string letters;
    for (std::size_t i = 0; i < ranks.size(); ++i)
        letters += ranks[i].at(static_cast<std::size_t>(ordinals[i]));
    return letters;
}

std::string refused(const std::vector<std::string>& ranks, bool allow_sharing = false) {
    try {
        bind_devices("node7", node(ranks), allow_sharing);
    } catch (const UserError& e) {
        return e.what();
    }
    return "";
}

bool has(const std::string& text, const std::string& part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
    return text.find(part) != std::string::npos;
}

}  // namespace

// The rows of Slurm's table: options and what four tasks of a node with the devices A to D see.
TEST_CASE("what Slurm shows the ranks of a node") {
    SUBCASE("no option at all, or --gpus-per-task=1 --gpu-bind=none: the variable is unset") {
        CHECK(bound({"ABCD", "ABCD", "ABCD", "ABCD"}) == "ABCD");
    }
    SUBCASE("--ntasks-per-node=4 --gpus-per-task=1: 0 / 1 / 2 / 3") {
        CHECK(bound({"A", "B", "C", "D"}) == "ABCD");
    }
    SUBCASE("--gpus-per-task=2, two tasks: 0,1 / 2,3") {
        CHECK(bound({"AB", "CD"}) == "AC");
    }
    SUBCASE("--gpus-per-node=4 or --gres=gpu:4: all see 0,1,2,3") {
        CHECK(bound({"ABCD", "ABCD", "ABCD", "ABCD"}) == "ABCD");
        CHECK(bound({"ABCD", "ABCD"}) == "AB");
    }
    SUBCASE("--gpu-bind=single:1: 0 / 1 / 2 / 3") {
        CHECK(bound({"A", "B", "C", "D"}) == "ABCD");
    }
    SUBCASE("--gpu-bind=single:2, two tasks: both see 0") {
        has(refused({"A", "A"}), "ranks 10, 11 see only one device, GPU-A;");
        CHECK(bound({"A", "A"}, true) == "AA");
    }
    SUBCASE("--gpu-bind=map_gpu:3,2,1,0: 3 / 2 / 1 / 0") {
        CHECK(bound({"D", "C", "B", "A"}) == "DCBA");
    }
    SUBCASE("--gpus=6 -N2 -n4: three tasks see 0,1,2,3 on one node, one task 0,1 on the other") {
        CHECK(bound({"ABCD", "ABCD", "ABCD"}) == "ABC");
        CHECK(bound({"AB"}) == "A");
    }
    SUBCASE("the second job on a node: 2,3") {
        CHECK(bound({"CD", "CD"}) == "CD");
    }
    SUBCASE("a step without devices in a job with them") {
        has(refused({"", ""}), "node7: ranks 10, 11 see no CUDA device; expected");
    }
}

TEST_CASE("ordinals are positions in what a rank sees") {
    const std::vector<RankDevices> ranks = node({"DCBA", "DCBA"});
    CHECK(bind_devices("node7", ranks, false) == std::vector<int>{0, 1});
    CHECK(bind_devices("node7", node({"D", "A"}), false) == std::vector<int>{0, 0});
}

TEST_CASE("a mix of ranks that see one and ranks that see more") {
    CHECK(bound({"A", "ABCD", "ABCD", "B"}) == "ACDB");
    CHECK(bound({"AB", "A"}) == "BA");          // the first rank moves over
    CHECK(bound({"AB", "BC", "AB"}) == "BCA");  // two of them do
    CHECK(bound({"ABC", "AB", "A"}) == "CBA");  // one after the other
    CHECK(bound({"AB", "BA"}) == "AB");         // the same set in another order
    CHECK(bound({"BA", "AB"}) == "BA");
    CHECK(bound({"ABCD", "ABC", "AB", "A"}) == "DCBA");
}

TEST_CASE("too few devices: counted, named, and what to change") {
    const std::string message = refused({"AB", "AB", "AB", "AB"});
    for (const char* part : {"node7: ranks 10, 11, 12, 13 see only 2 devices, GPU-A, GPU-B;",
                             "--ntasks-per-node=2", "--allow-device-sharing"})
        has(message, part);
    CHECK(bound({"AB", "AB", "AB", "AB"}, true) == "ABAB");
}

TEST_CASE("badly bound: the node has enough, but some ranks see too few") {
    const std::string message = refused({"A", "BCD", "A"});
    has(message, "ranks 10, 12 see only one device, GPU-A, though the node's ranks see 4 together");
    has(message, "--gpu-bind=none");
    has(refused({"AB", "AB", "AB", "CD"}), "ranks 10, 11, 12 see only 2 devices, GPU-A, GPU-B,");
}

TEST_CASE("sharing only where it must be, and evenly") {
    CHECK(bound({"A", "BCD", "A"}, true) == "ABA");
    CHECK(bound({"AB", "A", "A"}, true) == "BAA");
    CHECK(bound({"ABC", "ABC", "ABC", "ABC", "ABC", "ABC", "ABC"}, true) == "ABCABCA");
    CHECK(bound({"ABCD", "ABCD"}, true) == "AB");
}

TEST_CASE("a rank that sees nothing is refused whatever may be shared") {
    for (const bool allow_sharing : {false, true}) {
        const std::string message = refused({"AB", "", "AB"}, allow_sharing);
        has(message, "rank 11 sees no CUDA device, while the node's other ranks do");
        has(message, "CUDA_VISIBLE_DEVICES");
    }
}

TEST_CASE("instances of one GPU are devices of their own") {
    std::vector<RankDevices> ranks(2);
    for (int i = 0; i < 2; ++i) {
        ranks[static_cast<std::size_t>(i)] = {
            i, i, {{.uuid = cat("MIG-", i), .pci_bus_id = "17", .mig = true}}};
    }
    CHECK(bind_devices("node7", ranks, false) == std::vector<int>{0, 0});
}
