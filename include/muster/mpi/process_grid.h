#pragma once
// world = replicas × tensor-parallel ranks: pure arithmetic over who sits on which node.

#include <string>
#include <vector>

namespace muster {

/// Where one world rank sits.
struct RankPlace {
    int rank = 0;        ///< world rank
    int node = 0;        ///< index of the node, in order of each node's lowest world rank
    int local_rank = 0;  ///< rank within the node
    int replica = 0;     ///< which copy of the model
    int tp_rank = 0;     ///< rank within the tensor-parallel group
    bool operator==(const RankPlace&) const = default;
};

class ProcessGrid {
 public:
    /// `node_of_rank[r]` is the node index of world rank r. A replica takes `tensor_parallel` consecutive local
    /// ranks of one node; with `across_nodes`, consecutive ranks in (node, local rank) order instead.
    /// Throws UserError if the world (or, without across_nodes, a node's rank count) is not divisible by
    /// tensor_parallel, naming got and expected.
    ProcessGrid(const std::vector<int>& node_of_rank, int tensor_parallel, bool across_nodes);

    int world_size() const { return static_cast<int>(places_.size()); }
    int tensor_parallel() const { return tensor_parallel_; }
    int num_replicas() const { return world_size() / tensor_parallel_; }
    int num_nodes() const { return num_nodes_; }
    const RankPlace& place(int rank) const { return places_[static_cast<std::size_t>(rank)]; }
    /// World rank of tensor-parallel rank 0 of `replica`. Replicas are numbered so that world rank 0 leads replica 0.
    int leader_of(int replica) const;

 private:
    int tensor_parallel_ = 1, num_nodes_ = 1;
    std::vector<RankPlace> places_;
};

}  // namespace muster
