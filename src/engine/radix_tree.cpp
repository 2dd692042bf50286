#include "radix_tree.h"

#include <algorithm>
#include <limits>

#include "muster/engine/engine.h"
#include "page_pool.h"
#include "token_trie.h"

namespace muster {
namespace {

std::uint64_t edge(std::int32_t node, std::int32_t token) {
    return std::uint64_t{static_cast<std::uint32_t>(node)} << 32 |
           static_cast<std::uint32_t>(token);
}

}  // namespace

std::span<const std::int32_t> fed_tokens(const Request& request) {
    const std::span<const std::int32_t> tokens(request.tokens);
    return request.kind == Request::Kind::score ? tokens.first(tokens.size() - 1) : tokens;
}

std::int64_t generation_end(const Request& request) {
    return static_cast<std::int64_t>(request.tokens.size()) + request.max_new_tokens - 1;
}

std::int32_t RadixTree::add(Node node) {
    nodes_.push_back(std::move(node));
    return static_cast<std::int32_t>(nodes_.size()) - 1;
}

std::int32_t RadixTree::add_trunk() {
    return add({});
}

std::int32_t RadixTree::token(const Node& node, std::int32_t position) const {
    return requests_[node.source].tokens[static_cast<std::size_t>(position)];
}

std::int64_t RadixTree::at_most(const Node& node) const {
    return extends_itself(node) ? generation_end(requests_[node.generations.front()]) : node.end;
}

void RadixTree::insert(std::int32_t trunk, std::size_t request) {
    const std::span<const std::int32_t> tokens = fed_tokens(requests_[request]);
    const auto size = static_cast<std::int32_t>(tokens.size());
    std::int32_t at = trunk;
    for (std::int32_t position = 0; position < size;) {
        const auto [found, is_new] =
            edges_.emplace(edge(at, tokens[static_cast<std::size_t>(position)]), -1);
        std::int32_t& child = found->second;  // stays where it is when the table grows
        if (is_new) {
            Node leaf;
            leaf.parent = at;
            leaf.source = request;
            leaf.begin = position;
            leaf.end = size;
            at = child = add(std::move(leaf));
            break;
        }
        const Node& next = node(child);
        const std::int32_t* run = requests_[next.source].tokens.data();
        const auto differ = std::mismatch(run + next.begin, run + next.end,
                                          tokens.data() + position, tokens.data() + size);
        position = static_cast<std::int32_t>(differ.first - run);
        if (position < next.end) child = split(child, position);
        at = child;
    }
    Node& last = nodes_[static_cast<std::size_t>(at)];
    const bool scores = requests_[request].kind == Request::Kind::score;
    (scores ? last.scores : last.generations).push_back(request);
}

std::int32_t RadixTree::split(std::int32_t id, std::int32_t position) {
    Node upper;
    upper.parent = node(id).parent;
    upper.source = node(id).source;
    upper.begin = node(id).begin;
    upper.end = position;
    const std::int32_t upper_id = add(std::move(upper));
    Node& lower = nodes_[static_cast<std::size_t>(id)];
    lower.parent = upper_id;
    lower.begin = position;
    edges_.emplace(edge(upper_id, token(lower, position)), id);
    return upper_id;
}

void RadixTree::summarize() {
    for (std::size_t id = 0; id < nodes_.size(); ++id) {
        const std::int32_t parent = nodes_[id].parent;
        if (parent >= 0)
            nodes_[static_cast<std::size_t>(parent)].children.push_back(
                static_cast<std::int32_t>(id));
    }
    // Parents before children, whatever their ids, then back.
    std::vector<std::int32_t> order;
    order.reserve(nodes_.size());
    for (std::size_t id = 0; id < nodes_.size(); ++id) {
        if (nodes_[id].parent < 0) order.push_back(static_cast<std::int32_t>(id));
    }
    for (std::size_t i = 0; i < order.size(); ++i) {
        const auto& children = node(order[i]).children;
        order.insert(order.end(), children.begin(), children.end());
    }
    for (auto id = order.rbegin(); id != order.rend(); ++id)
        summarize(nodes_[static_cast<std::size_t>(*id)]);
}

void RadixTree::summarize(Node& node) const {
    node.first_row = std::numeric_limits<std::int32_t>::max();
    node.first_request = std::numeric_limits<std::size_t>::max();
    node.last_request = 0;
    node.longest = node.end;
    node.length = 0;
    std::int64_t below = 0;  // pages
    const auto add_request = [&](std::size_t request) {
        node.first_request = std::min(node.first_request, request);
        node.last_request = std::max(node.last_request, request);
        node.length = std::max(node.length, kv_tokens_needed(requests_[request]));
    };
    for (const std::size_t request : node.scores) {
        add_request(request);
        node.first_row = std::min(node.first_row, requests_[request].first_scored - 1);
    }
    for (const std::size_t request : node.generations) {
        add_request(request);
        const std::int64_t end = generation_end(requests_[request]);
        node.longest = std::max(node.longest, end);
        if (!extends_itself(node)) below = std::max(below, own_pages(node.end, end));
    }
    for (const std::int32_t id : node.children) {
        const Node& child = this->node(id);
        node.first_row = std::min(node.first_row, child.first_row);
        node.first_request = std::min(node.first_request, child.first_request);
        node.last_request = std::max(node.last_request, child.last_request);
        node.longest = std::max(node.longest, child.longest);
        node.length = std::max(node.length, child.length);
        below = std::max(below, child.pages);
    }
    node.pages = own_pages(node.begin, at_most(node)) + below;
}

std::vector<std::int32_t> RadixTree::dissolve(std::int32_t id) {
    const Node whole = std::move(nodes_[static_cast<std::size_t>(id)]);
    std::vector<std::int32_t> roots = whole.children;
    for (const std::int32_t child : roots) {
        Node& node = nodes_[static_cast<std::size_t>(child)];
        node.pages -= own_pages(node.begin, at_most(node));
        node.begin = 0;
        node.pages += own_pages(node.begin, at_most(node));
    }
    const auto add_root = [&](Node root) {
        root.source = whole.source;
        root.end = whole.end;
        summarize(root);
        roots.push_back(add(std::move(root)));
    };
    if (!whole.scores.empty()) {
        Node root;
        root.scores = whole.scores;
        add_root(std::move(root));
    }
    for (const std::size_t request : whole.generations) {
        Node root;
        root.generations = {request};
        add_root(std::move(root));
    }
    return roots;
}

}  // namespace muster
