#pragma once
// The nodes of a trie on their way through the model: which token is where, what is asked of each
// row, and what came out so far.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "generation.h"
#include "muster/engine/request.h"
#include "muster/model/model.h"
#include "token_trie.h"

namespace muster {

class Sequences {
 public:
    /// All arguments must outlive this object.
    Sequences(const TokenTrie& trie, const std::vector<Request>& requests,
              const Tokenizer& tokenizer);

    const TrieNode& node(std::int32_t id) const { return trie_.nodes[index(id)]; }
    std::int32_t token_at(std::int32_t id, std::int32_t position) const;
    /// Generations that the row at `position` of node `id` gives a token: ids of the nodes that
    /// they are in.
    std::span<const std::int32_t> drawers(std::int32_t id, std::int32_t position) const;
    Generation& generation(std::int32_t id) { return *generations_[index(id)]; }
    /// True if the argmax of the row is not all that its drawers need.
    bool needs_logits(std::int32_t id, std::int32_t position) const;
    /// True if the row is scored or has a drawer that only needs the argmax.
    bool needs_score(std::int32_t id, std::int32_t position) const;

    /// Appends the targets of a row; `row` is its index in the head's block.
    void append_targets(std::int32_t id, std::int32_t position, std::int32_t row,
                        std::vector<LogitTarget>& targets) const;
    /// The results of append_targets, in the same order.
    void add_score(std::int32_t id, const RowScore& score, const LogitTarget& target,
                   float target_logit);
    /// The completion of a score request that ends at node `id`, once the node is computed.
    Completion score(std::size_t request, std::int32_t id) const;

 private:
    /// Scores of a node's rows from first_output on: one per row but the last, then one per last
    /// target.
    struct Scores {
        std::vector<float> logprobs;
        std::vector<bool> is_argmax;
    };
    static std::size_t index(std::int32_t id) { return static_cast<std::size_t>(id); }
    void add_scores(const Request& request, std::int32_t id, Completion& completion) const;

    const TokenTrie& trie_;
    const std::vector<Request>& requests_;
    std::vector<std::int32_t> ids_;                         ///< 0, 1, 2, …
    std::vector<Scores> scores_;                            ///< by node
    std::vector<std::unique_ptr<Generation>> generations_;  ///< by node; null where there is none
    std::vector<std::vector<std::int32_t>> starts_;  ///< by node: generations that begin behind it
};

}  // namespace muster
