#pragma once
// A set of byte strings that answers "which is the longest one that starts here?".

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace muster {

class ByteTrie {
 public:
    ByteTrie() : nodes_(1) {}

    /// The first of several equal strings keeps its value. Empty strings are ignored.
    void insert(std::string_view text, std::size_t value);

    struct Match {
        std::size_t end, value;
    };
    /// The longest string of the set that starts at `text[begin]`.
    std::optional<Match> longest(std::string_view text, std::size_t begin) const;

 private:
    struct Edge {
        unsigned char byte;
        std::uint32_t target;
    };
    struct Node {
        std::vector<Edge> edges;
        std::optional<std::size_t> value;
    };
    const Edge* find_edge(const Node& node, unsigned char byte) const;

    std::vector<Node> nodes_;
    std::array<bool, 256> starts_{};  ///< most bytes start nothing
};

}  // namespace muster
