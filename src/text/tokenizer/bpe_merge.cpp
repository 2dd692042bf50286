// Two ways to the same merges: always the lowest rank, leftmost first. Short words are scanned
// again after every merge; for long ones (whole texts in Llama-2 style) a heap with lazy
// invalidation keeps it O(n log n).

#include <array>
#include <functional>
#include <queue>

#include "bpe.h"

namespace muster {
namespace {

constexpr std::size_t kShortWord = 24;

struct Candidate {
    std::uint32_t rank, position;
    TokenId id;

    bool operator<(const Candidate& other) const {  // for a max-heap
        return rank != other.rank ? rank > other.rank : position > other.position;
    }
};

struct Symbol {
    TokenId id;
    std::int32_t previous, next;  // -1 at the ends
    bool alive;
};

}  // namespace

void Bpe::merge(std::vector<TokenId>& symbols) const {
    if (symbols.size() <= kShortWord) {
        merge_short(symbols);
    } else {
        merge_long(symbols);
    }
}

void Bpe::merge_short(std::vector<TokenId>& symbols) const {
    std::array<const MergeTable::Merge*, kShortWord> merges{};  // of symbols i and i + 1
    std::size_t n = symbols.size();
    for (std::size_t i = 0; i + 1 < n; i++) merges[i] = merges_.find(symbols[i], symbols[i + 1]);
    while (n > 1) {
        std::size_t best = n;
        for (std::size_t i = 0; i + 1 < n; i++) {
            if (merges[i] != nullptr && (best == n || merges[i]->rank < merges[best]->rank))
                best = i;
        }
        if (best == n) break;
        symbols[best] = merges[best]->id;
        for (std::size_t i = best + 1; i + 1 < n; i++) {
            symbols[i] = symbols[i + 1];
            merges[i] = i + 2 < n ? merges[i + 1] : nullptr;
        }
        n--;
        if (best > 0) merges[best - 1] = merges_.find(symbols[best - 1], symbols[best]);
        merges[best] = best + 1 < n ? merges_.find(symbols[best], symbols[best + 1]) : nullptr;
    }
    symbols.resize(n);
}

void Bpe::merge_long(std::vector<TokenId>& ids) const {
    const auto n = static_cast<std::int32_t>(ids.size());
    std::vector<Symbol> symbols(ids.size());
    std::vector<Candidate> initial;
    initial.reserve(ids.size());
    for (std::int32_t i = 0; i < n; i++) {
        const auto at = static_cast<std::size_t>(i);
        symbols[at] = {ids[at], i - 1, i + 1 < n ? i + 1 : -1, true};
        if (i + 1 == n) continue;
        const MergeTable::Merge* merge = merges_.find(ids[at], ids[at + 1]);
        if (merge != nullptr)
            initial.push_back({merge->rank, static_cast<std::uint32_t>(i), merge->id});
    }
    std::priority_queue<Candidate> queue(std::less<Candidate>(), std::move(initial));
    const auto offer = [&](std::int32_t left) {
        const Symbol& first = symbols[static_cast<std::size_t>(left)];
        const Symbol& second = symbols[static_cast<std::size_t>(first.next)];
        const MergeTable::Merge* merge = merges_.find(first.id, second.id);
        if (merge != nullptr)
            queue.push({merge->rank, static_cast<std::uint32_t>(left), merge->id});
    };
    while (!queue.empty()) {
        const Candidate top = queue.top();
        queue.pop();
        Symbol& left = symbols[top.position];
        if (!left.alive || left.next < 0) continue;
        Symbol& right = symbols[static_cast<std::size_t>(left.next)];
        const MergeTable::Merge* merge = merges_.find(left.id, right.id);
        if (merge == nullptr || merge->id != top.id) continue;  // made before a neighbour changed
        left.id = top.id;
        right.alive = false;
        left.next = right.next;
        const auto position = static_cast<std::int32_t>(top.position);
        if (left.next >= 0) {
            symbols[static_cast<std::size_t>(left.next)].previous = position;
            offer(position);
        }
        if (left.previous >= 0) offer(left.previous);
    }
    ids.clear();
    for (const Symbol& symbol : symbols) {
        if (symbol.alive) ids.push_back(symbol.id);
    }
}

}  // namespace muster
