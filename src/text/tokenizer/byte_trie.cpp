#include "byte_trie.h"

#include <algorithm>

namespace muster {

const ByteTrie::Edge* ByteTrie::find_edge(const Node& node, unsigned char byte) const {
    const auto edge = std::lower_bound(node.edges.begin(), node.edges.end(), byte,
                                       [](const Edge& e, unsigned char b) { return e.byte < b; });
    return edge != node.edges.end() && edge->byte == byte ? &*edge : nullptr;
}

void ByteTrie::insert(std::string_view text, std::size_t value) {
    if (text.empty()) return;
    starts_[static_cast<unsigned char>(text[0])] = true;
    std::uint32_t at = 0;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const Edge* edge = find_edge(nodes_[at], byte);
        if (edge != nullptr) {
            at = edge->target;
            continue;
        }
        const auto target = static_cast<std::uint32_t>(nodes_.size());
        auto& edges = nodes_[at].edges;
        edges.insert(std::find_if(edges.begin(), edges.end(),
                                  [byte](const Edge& e) { return e.byte > byte; }),
                     Edge{byte, target});
        nodes_.emplace_back();
        at = target;
    }
    if (!nodes_[at].value) nodes_[at].value = value;
}

std::optional<ByteTrie::Match> ByteTrie::longest(std::string_view text, std::size_t begin) const {
    std::optional<Match> best;
    if (begin >= text.size() || !starts_[static_cast<unsigned char>(text[begin])]) return best;
    const Node* node = &nodes_[0];
    for (std::size_t pos = begin; pos < text.size(); pos++) {
        const Edge* edge = find_edge(*node, static_cast<unsigned char>(text[pos]));
        if (edge == nullptr) break;
        node = &nodes_[edge->target];
        if (node->value) best = {pos + 1, *node->value};
    }
    return best;
}

}  // namespace muster
