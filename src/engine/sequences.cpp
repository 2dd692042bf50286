#include "sequences.h"

#include <algorithm>
#include <numeric>

namespace muster {

Sequences::Sequences(const TokenTrie& trie, const std::vector<Request>& requests,
                     const Tokenizer& tokenizer)
    : trie_(trie),
      requests_(requests),
      ids_(trie.nodes.size()),
      scores_(trie.nodes.size()),
      generations_(trie.nodes.size()),
      starts_(trie.nodes.size()) {
    std::iota(ids_.begin(), ids_.end(), 0);
    for (const std::int32_t id : ids_) {
        const TrieNode& node = trie.nodes[index(id)];
        if (!node.generation) continue;
        generations_[index(id)] =
            std::make_unique<Generation>(requests[*node.generation], tokenizer);
        // One whose prompt it shares with others has no row of its own yet.
        const bool has_prompt = node.end > node.begin;
        starts_[index(has_prompt ? id : node.parent)].push_back(id);
    }
}

std::int32_t Sequences::token_at(std::int32_t id, std::int32_t position) const {
    const TrieNode& node = this->node(id);
    if (position < node.end) return requests_[node.source].tokens[index(position)];
    return generations_[index(id)]->tokens()[index(position - node.end)];
}

std::span<const std::int32_t> Sequences::drawers(std::int32_t id, std::int32_t position) const {
    const std::int32_t last = node(id).end - 1;
    if (position < last) return {};
    if (position == last) return starts_[index(id)];
    return std::span(ids_).subspan(index(id), 1);
}

bool Sequences::needs_logits(std::int32_t id, std::int32_t position) const {
    const auto ids = drawers(id, position);
    return std::any_of(ids.begin(), ids.end(), [&](std::int32_t drawer) {
        return generations_[index(drawer)]->needs_logits();
    });
}

bool Sequences::needs_score(std::int32_t id, std::int32_t position) const {
    const TrieNode& node = this->node(id);
    if (position < node.end - 1) return true;
    if (position == node.end - 1 && !node.last_targets.empty()) return true;
    const auto ids = drawers(id, position);
    return std::any_of(ids.begin(), ids.end(), [&](std::int32_t drawer) {
        return !generations_[index(drawer)]->needs_logits();
    });
}

void Sequences::append_targets(std::int32_t id, std::int32_t position, std::int32_t row,
                               std::vector<LogitTarget>& targets) const {
    const TrieNode& node = this->node(id);
    if (position < node.end - 1) {
        targets.push_back({row, token_at(id, position + 1)});
    } else if (position == node.end - 1) {
        for (const std::int32_t token : node.last_targets) targets.push_back({row, token});
    }
}

void Sequences::add_score(std::int32_t id, const RowScore& score, const LogitTarget& target,
                          float target_logit) {
    Scores& scores = scores_[index(id)];
    scores.logprobs.push_back(
        static_cast<float>(static_cast<double>(target_logit) - score.log_sum_exp));
    scores.is_argmax.push_back(score.argmax == target.token);
}

Completion Sequences::score(std::size_t request, std::int32_t id) const {
    Completion completion;
    completion.id = requests_[request].id;
    completion.is_greedy = true;
    std::vector<std::int32_t> path;
    for (; id >= 0; id = node(id).parent) path.push_back(id);
    for (auto at = path.rbegin(); at != path.rend(); ++at)
        add_scores(requests_[request], *at, completion);
    return completion;
}

/// Adds the scores of `request` in the rows of one node of its path.
void Sequences::add_scores(const Request& request, std::int32_t id, Completion& completion) const {
    const TrieNode& node = this->node(id);
    const Scores& scores = scores_[index(id)];
    const std::int32_t first = std::max(node.begin, request.first_scored - 1);
    for (std::int32_t row = first; row < node.end; ++row) {
        std::size_t target = index(row - node.first_output);
        if (row == node.end - 1) {
            const auto& last = node.last_targets;
            const std::int32_t next = request.tokens[index(row) + 1];
            target += index(static_cast<std::int32_t>(
                std::lower_bound(last.begin(), last.end(), next) - last.begin()));
        }
        const float logprob = scores.logprobs.at(target);
        completion.token_logprobs.push_back(logprob);
        completion.log_likelihood += static_cast<double>(logprob);
        completion.is_greedy = completion.is_greedy && scores.is_argmax[target];
    }
}

}  // namespace muster
