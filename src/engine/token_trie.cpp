#include "token_trie.h"

#include <algorithm>
#include <map>

#include "muster/engine/engine.h"
#include "radix_tree.h"

namespace muster {
namespace {

/// Turns the nodes of a radix tree into those of the trie, in their order.
class Arrangement {
 public:
    Arrangement(const std::vector<Request>& requests, const TrieOptions& options, RadixTree& tree,
                std::size_t last_request)
        : requests_(requests), options_(options), tree_(tree), last_request_(last_request) {}

    TokenTrie arrange(const std::vector<std::int32_t>& trunks);

 private:
    /// A node of the radix tree, or a generation below one, that waits for its place in the trie.
    struct Waiting {
        std::int32_t parent = -1;                    ///< in the trie
        std::int32_t id = -1;                        ///< in the tree
        std::optional<std::size_t> generation = {};  ///< set: not the node but this request
        // What the order depends on.
        bool known = false, last = false;
        std::int64_t longest = 0;
        std::size_t request = 0;
    };
    std::vector<std::int32_t> roots_that_fit(const std::vector<std::int32_t>& trunks);
    Waiting waiting_node(std::int32_t parent, std::int32_t id) const;
    Waiting waiting_generation(std::int32_t parent, std::int32_t id, std::size_t request) const;
    /// Siblings go onto the stack so that the first one is on top.
    void push(std::vector<Waiting> siblings);
    void place(const Waiting& waiting);
    void place_node(const Waiting& waiting);
    std::vector<std::int32_t> last_targets(const RadixTree::Node& node) const;
    /// How far the run of `node`, a child of `parent` in the trie, is known.
    std::int32_t known_end(std::int32_t parent, const RadixTree::Node& node) const;

    const std::vector<Request>& requests_;
    const TrieOptions& options_;
    RadixTree& tree_;
    std::size_t last_request_;
    TokenTrie trie_;
    std::vector<std::int32_t> known_ends_;  ///< of the nodes so far, outputs or not
    std::vector<Waiting> stack_;
};

TokenTrie Arrangement::arrange(const std::vector<std::int32_t>& trunks) {
    std::vector<Waiting> roots;
    for (const std::int32_t id : roots_that_fit(trunks)) roots.push_back(waiting_node(-1, id));
    push(std::move(roots));
    while (!stack_.empty()) {
        const Waiting next = stack_.back();
        stack_.pop_back();
        place(next);
    }
    return std::move(trie_);
}

std::vector<std::int32_t> Arrangement::roots_that_fit(const std::vector<std::int32_t>& trunks) {
    std::vector<std::int32_t> roots, open;
    for (const std::int32_t trunk : trunks) {
        const auto& children = tree_.node(trunk).children;
        open.insert(open.end(), children.begin(), children.end());
    }
    while (!open.empty()) {
        const std::int32_t id = open.back();
        open.pop_back();
        if (tree_.node(id).pages <= options_.num_pages) {
            roots.push_back(id);
        } else {
            const auto parts = tree_.dissolve(id);
            open.insert(open.end(), parts.begin(), parts.end());
        }
    }
    return roots;
}

Arrangement::Waiting Arrangement::waiting_node(std::int32_t parent, std::int32_t id) const {
    const RadixTree::Node& node = tree_.node(id);
    return {.parent = parent,
            .id = id,
            .known = known_end(parent, node) > node.begin,
            .last = node.last_request == last_request_,
            .longest = node.longest,
            .request = node.first_request};
}

Arrangement::Waiting Arrangement::waiting_generation(std::int32_t parent, std::int32_t id,
                                                     std::size_t request) const {
    return {.parent = parent,
            .id = id,
            .generation = request,
            .last = request == last_request_,
            .longest = generation_end(requests_[request]),
            .request = request};
}

void Arrangement::push(std::vector<Waiting> siblings) {
    std::sort(siblings.begin(), siblings.end(), [](const Waiting& a, const Waiting& b) {
        if (a.known != b.known) return b.known;
        if (a.last != b.last) return a.last;
        if (a.longest != b.longest) return a.longest < b.longest;
        return a.request > b.request;
    });
    stack_.insert(stack_.end(), siblings.begin(), siblings.end());
}

void Arrangement::place(const Waiting& waiting) {
    if (!waiting.generation) return place_node(waiting);
    const RadixTree::Node& prompt = tree_.node(waiting.id);
    const Request& request = requests_[*waiting.generation];
    TrieNode node;
    node.parent = waiting.parent;
    node.source = *waiting.generation;
    node.begin = node.end = node.known = node.first_output = prompt.end;
    node.at_most = generation_end(request);
    node.length = kv_tokens_needed(request);
    node.generation = waiting.generation;
    trie_.nodes.push_back(std::move(node));
    known_ends_.push_back(prompt.end);
}

void Arrangement::place_node(const Waiting& waiting) {
    const RadixTree::Node& tree_node = tree_.node(waiting.id);
    const auto index = static_cast<std::int32_t>(trie_.nodes.size());
    TrieNode node;
    node.parent = waiting.parent;
    node.source = tree_node.source;
    node.begin = tree_node.begin;
    node.end = tree_node.end;
    node.at_most = tree_.at_most(tree_node);
    node.length = tree_node.length;
    node.first_output = std::clamp(tree_node.first_row, node.begin, node.end);
    node.last_targets = last_targets(tree_node);
    node.scores = tree_node.scores;
    if (!tree_node.generations.empty())
        node.first_output = std::min(node.first_output, node.end - 1);
    // Rows that go to the output head are computed again, since only keys and values are kept.
    known_ends_.push_back(known_end(waiting.parent, tree_node));
    node.known = std::min(known_ends_.back(), node.first_output);

    std::vector<Waiting> children;
    if (RadixTree::extends_itself(tree_node)) {
        node.generation = tree_node.generations.front();
    } else {
        for (const std::size_t request : tree_node.generations)
            children.push_back(waiting_generation(index, waiting.id, request));
    }
    const auto ends_here = [&](const std::vector<std::size_t>& requests) {
        return std::find(requests.begin(), requests.end(), last_request_) != requests.end();
    };
    if (ends_here(tree_node.scores) || ends_here(tree_node.generations)) trie_.last = index;
    trie_.nodes.push_back(std::move(node));
    for (const std::int32_t child : tree_node.children)
        children.push_back(waiting_node(index, child));
    push(std::move(children));
}

std::vector<std::int32_t> Arrangement::last_targets(const RadixTree::Node& node) const {
    std::vector<std::int32_t> targets;
    for (const std::size_t request : node.scores)
        targets.push_back(requests_[request].tokens.back());
    for (const std::int32_t id : node.children) {
        const RadixTree::Node& child = tree_.node(id);
        if (child.first_row < node.end) targets.push_back(tree_.token(child, node.end));
    }
    std::sort(targets.begin(), targets.end());
    targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
    return targets;
}

std::int32_t Arrangement::known_end(std::int32_t parent, const RadixTree::Node& node) const {
    const KnownPrefix& known = options_.known;
    if (options_.by_length && node.length != known.length) return node.begin;
    if (parent >= 0) {
        const auto at = static_cast<std::size_t>(parent);
        if (known_ends_[at] < trie_.nodes[at].end) return node.begin;
    }
    const auto size = static_cast<std::int32_t>(known.tokens.size());
    std::int32_t position = node.begin;
    while (position < std::min(node.end, size) &&
           tree_.token(node, position) == known.tokens[static_cast<std::size_t>(position)]) {
        ++position;
    }
    return position;
}

}  // namespace

bool is_fed(const Request& request) {
    return request.kind == Request::Kind::score || request.max_new_tokens > 0;
}

TokenTrie make_trie(const std::vector<Request>& requests, const TrieOptions& options) {
    RadixTree tree(requests);
    std::vector<std::int32_t> trunks;
    std::map<std::int64_t, std::int32_t> trunk_of_length;  // length → index into trunks
    std::size_t last_request = requests.size();
    for (std::size_t i = 0; i < requests.size(); ++i) {
        if (!is_fed(requests[i])) continue;
        const std::int64_t length = options.by_length ? kv_tokens_needed(requests[i]) : 0;
        const auto [found, is_new] = trunk_of_length.emplace(length, -1);
        if (is_new || !options.share) {
            found->second = tree.add_trunk();
            trunks.push_back(found->second);
        }
        tree.insert(found->second, i);
        last_request = i;
    }
    tree.summarize();
    return Arrangement(requests, options, tree, last_request).arrange(trunks);
}

}  // namespace muster
