#pragma once
// Token sequences merged by their common beginnings, before anything is decided about pages and
// order.

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "muster/engine/request.h"

namespace muster {

class RadixTree {
 public:
    struct Node {
        std::int32_t parent = -1;
        std::size_t source = 0;  ///< a request with the tokens of positions [begin, end)
        std::int32_t begin = 0, end = 0;
        std::vector<std::size_t> scores, generations;  ///< requests whose input ends here
        // After summarize(), from here on of the whole subtree:
        std::vector<std::int32_t> children;
        std::int32_t first_row = 0;     ///< first row that any score request needs
        std::int64_t longest = 0;       ///< positions fed at most
        std::int64_t length = 0;        ///< tokens of a request at most
        std::int64_t pages = 0;         ///< that its most expensive path needs beyond `begin`
        std::size_t first_request = 0;  ///< lowest index
        std::size_t last_request = 0;   ///< highest index
    };

    explicit RadixTree(const std::vector<Request>& requests) : requests_(requests) {}

    /// A node without tokens to insert below.
    std::int32_t add_trunk();
    /// Adds a request below `trunk`, along the nodes that have its tokens already.
    void insert(std::int32_t trunk, std::size_t request);
    /// Fills in what nodes say of their subtree. To be called once, after the last insert.
    void summarize();
    /// Takes the root `id` apart: its children and each of its requests are roots from now on,
    /// which are returned.
    std::vector<std::int32_t> dissolve(std::int32_t id);

    const Node& node(std::int32_t id) const { return nodes_[static_cast<std::size_t>(id)]; }
    /// The token at `position` of a node's run.
    std::int32_t token(const Node& node, std::int32_t position) const;
    /// Positions that the new tokens of generations at `node` are in the node itself, since nobody
    /// else goes on from there.
    static bool extends_itself(const Node& node) {
        return node.children.empty() && node.generations.size() == 1;
    }
    /// Positions of `node` itself that may be fed, new tokens included.
    std::int64_t at_most(const Node& node) const;

 private:
    std::int32_t add(Node node);
    /// Puts a new node before node `id` that has its run up to `position`; returns its id.
    std::int32_t split(std::int32_t id, std::int32_t position);
    void summarize(Node& node) const;

    const std::vector<Request>& requests_;
    std::vector<Node> nodes_;
    std::unordered_map<std::uint64_t, std::int32_t> edges_;  ///< (node, next token) → child
};

/// Positions that a generation may feed: its last token is never fed.
std::int64_t generation_end(const Request& request);

}  // namespace muster
