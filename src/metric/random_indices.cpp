// MT19937 (Matsumoto and Nishimura 1998) as CPython 3.11 seeds and uses it: Modules/_randommodule.c
// (init_by_array, genrand_uint32, random_random) and Lib/random.py (choices).
#include "random_indices.h"

#include <algorithm>

namespace muster {

namespace {

constexpr std::size_t kHalf = 397;
constexpr std::uint32_t kUpper = 0x80000000u, kLower = 0x7fffffffu, kMatrix = 0x9908b0dfu;

std::uint32_t twist(std::uint32_t here, std::uint32_t next, std::uint32_t far) {
    const std::uint32_t mixed = (here & kUpper) | (next & kLower);
    return far ^ (mixed >> 1) ^ ((0u - (mixed & 1u)) & kMatrix);
}

}  // namespace

RandomIndices::RandomIndices(std::uint32_t seed, std::uint32_t n) : n_(n) {
    // init_genrand(19650218), then init_by_array with the one key word.
    state_[0] = 19650218u;
    const auto size = static_cast<std::uint32_t>(kState);
    for (std::uint32_t i = 1; i < size; ++i)
        state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
    std::uint32_t i = 1;
    const auto advance = [&] {
        if (++i < size) return;
        state_[0] = state_[size - 1];
        i = 1;
    };
    for (std::uint32_t k = 0; k < size; ++k) {
        state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1664525u)) + seed;
        advance();
    }
    for (std::uint32_t k = 1; k < size; ++k) {
        state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1566083941u)) - i;
        advance();
    }
    state_[0] = 0x80000000u;
}

void RandomIndices::next_block() {
    std::uint32_t* const s = state_.data();
    for (std::size_t i = 0; i < kState - kHalf; ++i) s[i] = twist(s[i], s[i + 1], s[i + kHalf]);
    for (std::size_t i = kState - kHalf; i < kState - 1; ++i)
        s[i] = twist(s[i], s[i + 1], s[i + kHalf - kState]);
    s[kState - 1] = twist(s[kState - 1], s[0], s[kHalf - 1]);

    std::array<std::uint32_t, kState> words;
    for (std::size_t i = 0; i < kState; ++i) {
        std::uint32_t y = s[i];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c5680u;
        y ^= (y << 15) & 0xefc60000u;
        words[i] = y ^ (y >> 18);
    }
    for (std::size_t i = 0; i < kDraws; ++i) {
        // Both parts are below 2^31, so the cheaper signed conversion is exact.
        const double high = static_cast<std::int32_t>(words[2 * i] >> 5);
        const double low = static_cast<std::int32_t>(words[2 * i + 1] >> 6);
        const double random = (high * 67108864.0 + low) * (1.0 / 9007199254740992.0);
        draws_[i] = static_cast<std::uint32_t>(static_cast<std::int32_t>(random * n_));
    }
    used_ = 0;
}

void RandomIndices::fill(std::span<std::uint32_t> out) {
    while (!out.empty()) {
        if (used_ == kDraws) next_block();
        const std::size_t count = std::min(out.size(), kDraws - used_);
        std::copy_n(draws_.begin() + static_cast<std::ptrdiff_t>(used_), count, out.begin());
        used_ += count;
        out = out.subspan(count);
    }
}

}  // namespace muster
