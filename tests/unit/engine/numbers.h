#pragma once
// A fixed sequence of numbers for tests.

#include <cstdint>
#include <vector>

namespace muster::test {

class Numbers {
 public:
    explicit Numbers(std::uint64_t seed = 11) : state_(seed) {}

    std::int32_t below(std::int32_t end) {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::int32_t>((state_ >> 33) % static_cast<std::uint64_t>(end));
    }
    std::vector<std::int32_t> tokens(std::int32_t count, std::int32_t vocab_size) {
        std::vector<std::int32_t> tokens;
        while (count-- > 0) tokens.push_back(below(vocab_size));
        return tokens;
    }

 private:
    std::uint64_t state_;
};

}  // namespace muster::test
