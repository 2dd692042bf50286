// Nodes as MPI sees them, and the grid made from them. Right on one node and on several.

#include <map>
#include <set>

#include "mpi_test.h"
#include "muster/base/text.h"
#include "muster/mpi/host.h"
#include "muster/mpi/process_grid.h"
#include "muster/mpi/session.h"

TEST_CASE("ranks of one node share its host name, and all of them are in it") {
    const auto& world = test_world();
    const auto node = world.split_by_node();
    const auto hosts = world.all_gather(muster::host_name());
    std::map<std::string, int> ranks_on;
    for (const auto& host : hosts) ++ranks_on[host];
    CHECK(node.size() == ranks_on[muster::host_name()]);

    std::vector<std::string> expected_members;
    for (std::size_t r = 0; r < hosts.size(); ++r) {
        if (hosts[r] == muster::host_name()) expected_members.push_back(std::to_string(r));
    }
    CHECK(node.all_gather(std::to_string(world.rank())) == expected_members);
    if (world.is_root()) MESSAGE(ranks_on.size() << " node(s), " << world.size() << " rank(s)");
}

TEST_CASE("the grid of this world") {
    const auto& world = test_world();
    const auto node = world.split_by_node();
    // Nodes are named by the lowest world rank on them.
    const auto lowest = static_cast<int>(node.min(world.rank()));
    std::vector<int> node_of_rank;
    for (const auto& text : world.all_gather(std::to_string(lowest))) {
        node_of_rank.push_back(std::stoi(text));
    }
    const muster::ProcessGrid grid(node_of_rank, 1, false);
    CHECK(grid.num_replicas() == world.size());
    CHECK(grid.num_nodes() ==
          static_cast<int>(std::set<int>(node_of_rank.begin(), node_of_rank.end()).size()));
    CHECK(grid.place(world.rank()).local_rank == node.rank());
}

TEST_CASE("threads are shared among the ranks of a node") {
    const auto node = test_world().split_by_node();
    const int threads = muster::default_threads(node);
    CHECK(threads >= 1);
    CHECK(threads <= muster::affinity_cores());
    if (node.size() == 1) CHECK(threads == muster::affinity_cores());
}

TEST_CASE("threads that fill a node's cores are pinned, unless nobody wants it") {
    const auto node = test_world().split_by_node();
    const int cores = muster::affinity_cores();
    if (node.min(cores) != cores || cores % node.size() != 0) return;  // ranks bound unevenly
    const auto pinned = muster::thread_places(node, cores / node.size(), true);
    const auto free = muster::thread_places(node, cores / node.size(), false);
    CHECK(pinned.cpus.size() == static_cast<std::size_t>(cores / node.size()));
    CHECK(free.cpus.empty());
    CHECK(pinned.crowded == free.crowded);
}

TEST_CASE("the library names itself on one line") {
    const auto version = muster::MpiSession::library_version();
    CHECK_FALSE(version.empty());
    CHECK(version.find('\n') == std::string::npos);
    CHECK(version.find('\0') == std::string::npos);
}
