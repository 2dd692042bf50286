#pragma once
// random.Random(seed).choices(range(n)) of Python in bulk: the same draws as PythonRandom::choices
// (a test holds them equal), one block of the generator's state at a time so that the compiler can
// vectorise it.

#include <array>
#include <cstdint>
#include <span>

namespace muster {

class RandomIndices {
 public:
    /// n ≤ 2^31 − 1.
    RandomIndices(std::uint32_t seed, std::uint32_t n);
    /// The next draws: each floor(random() × n).
    void fill(std::span<std::uint32_t> out);

 private:
    static constexpr std::size_t kState = 624;         ///< words of MT19937
    static constexpr std::size_t kDraws = kState / 2;  ///< a double takes two words
    void next_block();

    std::array<std::uint32_t, kState> state_;
    std::array<std::uint32_t, kDraws> draws_;
    std::size_t used_ = kDraws;
    double n_;
};

}  // namespace muster
