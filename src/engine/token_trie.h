#pragma once
// All requests of one Engine::run by their tokens: what several of them begin with is one node, and
// is computed once. A node is a run of positions; the path from a root to it is a token prefix. Its
// logits depend on nothing else, so sharing changes no result.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "muster/engine/request.h"

namespace muster {

/// Positions [begin, end) of all requests that go through here, and what is asked of their rows.
struct TrieNode {
    std::int32_t parent = -1;   ///< index into the nodes, or -1 for a root
    std::int32_t begin = 0;     ///< where the parent ends; 0 for a root
    std::int32_t end = 0;       ///< known tokens; a generation goes on from here
    std::int32_t known = 0;     ///< rows [begin, known) are known to the pages kept from before
    std::size_t source = 0;     ///< a request that has these tokens
    std::int64_t at_most = 0;   ///< positions that may ever be fed: end, or more for a generation
    std::int64_t length = 0;    ///< tokens that a request through here may have, the largest
    std::int32_t first_output;  ///< rows from here on go to the output head; `end` if none does
    /// Distinct next tokens that are scored in the last row, ascending; rows before it have one
    /// target each, the token of the next row.
    std::vector<std::int32_t> last_targets;
    std::vector<std::size_t> scores;        ///< score requests whose input ends here
    std::optional<std::size_t> generation;  ///< the request whose new tokens are rows from `end`
};

/// What the engine still holds from an earlier run.
struct KnownPrefix {
    std::span<const std::int32_t> tokens;
    std::int64_t length = 0;  ///< TrieNode::length of the node that it is from
};

struct TrieOptions {
    bool share = true;           ///< false: every request is a root of its own
    bool by_length = false;      ///< share only between requests of equal length (dynamic rope)
    std::int64_t num_pages = 0;  ///< what the longest path of any root must fit into
    KnownPrefix known = {};
};

struct TokenTrie {
    /// Parents before children, every subtree in one piece. Among siblings the one that begins with
    /// `known` is first and the one with the last request is last; the others by longest subtree,
    /// then by lowest request.
    std::vector<TrieNode> nodes;
    /// The node where the input of the last request ends, -1 without requests.
    std::int32_t last = -1;
};

/// Generations of no tokens are left out. Where sharing costs more pages than there are, since
/// every branch has to copy a page, the node is given up and its branches have its tokens each.
TokenTrie make_trie(const std::vector<Request>& requests, const TrieOptions& options);

/// Tokens of `request` that are known and fed: all but the last of a score, the prompt of a
/// generation.
std::span<const std::int32_t> fed_tokens(const Request& request);
/// False for a generation of no tokens, which is finished before it starts.
bool is_fed(const Request& request);

}  // namespace muster
