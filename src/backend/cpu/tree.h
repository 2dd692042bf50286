#pragma once
// Sums blocks of floats as a balanced binary tree over the block index: ((0+1)+(2+3))+…, with one
// block per tree level in memory, the way a binary counter carries. For a power of two of blocks
// this is the tree that several ranks build together when each folds its own aligned run of blocks.

#include <cstdint>

namespace muster::cpu {

template <std::int64_t MaxSize>
class TreeSum {
 public:
    /// Blocks of `size` ≤ MaxSize floats.
    explicit TreeSum(std::int64_t size) : size_(size) {}
    /// Where the next block is to be written before fold().
    float* next() { return levels_[depth_]; }
    /// Takes the block written to next().
    void fold() {
        ++count_;
        ++depth_;
        for (std::uint32_t carry = count_; carry % 2 == 0; carry /= 2) add_top();
    }
    /// The sum of all blocks; folds what is left when their number is not a power of two.
    const float* result() {
        while (depth_ > 1) add_top();
        return levels_[0];
    }

 private:
    void add_top() {
        --depth_;
        float* left = levels_[depth_ - 1];
        const float* right = levels_[depth_];
        for (std::int64_t i = 0; i < size_; ++i) left[i] += right[i];
    }

    static constexpr int kLevels = 8;  // up to 2^7 blocks
    int depth_ = 0;
    std::uint32_t count_ = 0;
    std::int64_t size_;
    alignas(64) float levels_[kLevels][MaxSize];
};

}  // namespace muster::cpu
