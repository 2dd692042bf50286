#pragma once
// CPython's random.Random: the same seed gives the same draws as Python's generator, since few-shot
// examples of published scores were drawn with it. Source: CPython 3.11 Lib/random.py, Modules/_randommodule.c.

#include <array>
#include <cstdint>
#include <vector>

namespace muster {

class PythonRandom {
 public:
    /// random.Random(seed) for a non-negative integer seed.
    explicit PythonRandom(std::uint64_t seed);
    std::uint32_t next_u32();
    /// k random bits, 1 ≤ k ≤ 64.
    std::uint64_t getrandbits(int k);
    /// [0, 1) with 53 bits.
    double random();
    /// Integer in [0, n), n ≥ 1.
    std::uint64_t randbelow(std::uint64_t n);
    /// random.sample(range(n), k): k distinct indices. Throws InternalError if k > n.
    std::vector<std::size_t> sample(std::size_t n, std::size_t k);
    /// random.choices(range(n), k=k): with replacement.
    std::vector<std::size_t> choices(std::size_t n, std::size_t k);
    /// random.shuffle of the indices 0..n-1.
    std::vector<std::size_t> shuffled(std::size_t n);

 private:
    std::array<std::uint32_t, 624> state_;
    int index_ = 624;
};

}  // namespace muster
