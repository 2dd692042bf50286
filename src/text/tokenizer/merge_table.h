#pragma once
// Pairs of token ids → rank and merged id: an open-addressing table, since look-ups here are what
// encoding spends its time on.

#include <cstdint>
#include <vector>

#include "muster/text/tokenizer.h"

namespace muster {

class MergeTable {
 public:
    struct Merge {
        std::uint32_t rank;
        TokenId id;
    };

    /// Makes room for `count` merges; call once, before insert().
    void reserve(std::size_t count) {
        std::size_t slots = 16;
        while (slots < 2 * count) slots *= 2;
        slots_.assign(slots, Slot{kEmpty, {}});
    }

    /// A repeated pair takes the later rank.
    void insert(TokenId left, TokenId right, Merge merge) {
        const std::uint64_t key = key_of(left, right);
        std::size_t i = start_of(key);
        while (slots_[i].key != kEmpty && slots_[i].key != key) i = (i + 1) & (slots_.size() - 1);
        slots_[i] = {key, merge};
    }

    /// nullptr if the pair does not merge.
    const Merge* find(TokenId left, TokenId right) const {
        const std::uint64_t key = key_of(left, right);
        for (std::size_t i = start_of(key); slots_[i].key != kEmpty;
             i = (i + 1) & (slots_.size() - 1)) {
            if (slots_[i].key == key) return &slots_[i].merge;
        }
        return nullptr;
    }

 private:
    static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};  // no pair of non-negative ids
    struct Slot {
        std::uint64_t key;
        Merge merge;
    };
    static std::uint64_t key_of(TokenId left, TokenId right) {
        return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 |
               static_cast<std::uint32_t>(right);
    }
    std::size_t start_of(std::uint64_t key) const {
        return (key * 0x9E3779B97F4A7C15u >> 20) & (slots_.size() - 1);
    }

    std::vector<Slot> slots_ = std::vector<Slot>(16, Slot{kEmpty, {}});
};

}  // namespace muster
