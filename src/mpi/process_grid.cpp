#include "muster/mpi/process_grid.h"

#include <algorithm>
#include <map>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

/// World ranks by node, nodes in order of their lowest rank, ranks ascending.
std::vector<std::vector<int>> ranks_by_node(const std::vector<int>& node_of_rank) {
    std::vector<std::vector<int>> nodes;
    std::map<int, std::size_t> index_of;
    for (std::size_t rank = 0; rank < node_of_rank.size(); ++rank) {
        const auto [found, is_new] = index_of.try_emplace(node_of_rank[rank], nodes.size());
        if (is_new) nodes.emplace_back();
        nodes[found->second].push_back(static_cast<int>(rank));
    }
    return nodes;
}

std::string divisors_of(int n) {
    std::vector<std::string> divisors;
    for (int d = 1; d <= n; ++d) {
        if (n % d == 0) divisors.push_back(std::to_string(d));
    }
    return join(divisors, ", ");
}

void check_world(int world, int tp) {
    if (world < 1) throw InternalError("a process grid of no ranks");
    if (tp < 1) throw UserError(cat("parallel.tensor: got ", tp, ", expected at least 1"));
    if (world % tp == 0) return;
    throw UserError(cat("parallel.tensor: got ", tp, " for a world of ", world, " ",
                        world == 1 ? "rank" : "ranks", ", expected one of ", divisors_of(world),
                        "; or start a multiple of ", tp, " ranks"));
}

void check_nodes(const std::vector<std::vector<int>>& nodes, int tp) {
    for (std::size_t node = 0; node < nodes.size(); ++node) {
        const std::size_t ranks = nodes[node].size();
        if (ranks % static_cast<std::size_t>(tp) == 0) continue;
        throw UserError(
            cat("parallel.tensor: node ", node, " (with rank ", nodes[node].front(), ") has ",
                ranks, " ", ranks == 1 ? "rank" : "ranks", ", expected a multiple of ", tp,
                " so that no tensor-parallel group crosses a node; start a multiple of ", tp,
                " ranks on every node, or allow it with --tp-across-nodes"));
    }
}

}  // namespace

ProcessGrid::ProcessGrid(const std::vector<int>& node_of_rank, int tensor_parallel,
                         bool across_nodes)
    : tensor_parallel_(tensor_parallel), places_(node_of_rank.size()) {
    const auto nodes = ranks_by_node(node_of_rank);
    check_world(world_size(), tensor_parallel);
    if (!across_nodes) check_nodes(nodes, tensor_parallel);
    num_nodes_ = static_cast<int>(nodes.size());

    int position = 0;  // in (node, local rank) order
    for (std::size_t node = 0; node < nodes.size(); ++node) {
        for (std::size_t local = 0; local < nodes[node].size(); ++local, ++position) {
            const int rank = nodes[node][local];
            places_[static_cast<std::size_t>(rank)] = {
                rank, static_cast<int>(node), static_cast<int>(local), position / tensor_parallel,
                position % tensor_parallel};
        }
    }
}

int ProcessGrid::leader_of(int replica) const {
    const auto found = std::find_if(places_.begin(), places_.end(), [replica](const auto& place) {
        return place.replica == replica && place.tp_rank == 0;
    });
    if (found == places_.end()) {
        throw InternalError(cat("replica ", replica, " of ", num_replicas()));
    }
    return found->rank;
}

}  // namespace muster
