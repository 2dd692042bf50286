#include "muster/text/python_random.h"

#include <bit>
#include <cmath>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "muster/base/error.h"
#include "muster/base/text.h"

// Mersenne Twister MT19937 (Matsumoto and Nishimura 1998) seeded by init_by_array, as
// CPython 3.11's Modules/_randommodule.c does it; the draws follow CPython 3.11's Lib/random.py.

namespace muster {

namespace {

constexpr int kWords = 624;
constexpr int kShift = 397;

}  // namespace

PythonRandom::PythonRandom(std::uint64_t seed) {
    const std::array<std::uint32_t, 2> key = {static_cast<std::uint32_t>(seed),
                                              static_cast<std::uint32_t>(seed >> 32)};
    const int key_length = key[1] != 0 ? 2 : 1;

    state_[0] = 19650218u;
    for (int i = 1; i < kWords; ++i) {
        state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
    }
    int i = 1, j = 0;
    const auto advance = [&] {
        if (++i >= kWords) {
            state_[0] = state_[kWords - 1];
            i = 1;
        }
    };
    for (int k = 0; k < kWords; ++k) {
        const std::uint32_t previous = state_[i - 1] ^ (state_[i - 1] >> 30);
        state_[i] = (state_[i] ^ (previous * 1664525u)) + key[j] + j;
        advance();
        if (++j >= key_length) j = 0;
    }
    for (int k = 0; k < kWords - 1; ++k) {
        const std::uint32_t previous = state_[i - 1] ^ (state_[i - 1] >> 30);
        state_[i] = (state_[i] ^ (previous * 1566083941u)) - i;
        advance();
    }
    state_[0] = 0x80000000u;
}

std::uint32_t PythonRandom::next_u32() {
    if (index_ >= kWords) {
        for (int i = 0; i < kWords; ++i) {
            const std::uint32_t mixed =
                (state_[i] & 0x80000000u) | (state_[(i + 1) % kWords] & 0x7fffffffu);
            state_[i] =
                state_[(i + kShift) % kWords] ^ (mixed >> 1) ^ ((mixed & 1u) ? 0x9908b0dfu : 0u);
        }
        index_ = 0;
    }
    std::uint32_t y = state_[index_++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

std::uint64_t PythonRandom::getrandbits(int k) {
    if (k < 1 || k > 64)
        throw InternalError(cat("PythonRandom::getrandbits: k = ", k, ", expected 1 to 64"));
    if (k <= 32) return next_u32() >> (32 - k);
    const std::uint64_t low = next_u32();
    const std::uint64_t high = next_u32() >> (64 - k);
    return low | (high << 32);
}

double PythonRandom::random() {
    const std::uint32_t a = next_u32() >> 5, b = next_u32() >> 6;
    return (a * 67108864.0 + b) * (1.0 / 9007199254740992.0);
}

std::uint64_t PythonRandom::randbelow(std::uint64_t n) {
    if (n == 0) throw InternalError("PythonRandom::randbelow: n = 0, expected at least 1");
    const int bits = std::bit_width(n);
    std::uint64_t r = getrandbits(bits);
    while (r >= n) r = getrandbits(bits);
    return r;
}

std::vector<std::size_t> PythonRandom::sample(std::size_t n, std::size_t k) {
    if (k > n) throw InternalError(cat("PythonRandom::sample: ", k, " distinct indices of ", n));
    std::vector<std::size_t> result(k);
    // Python copies the population where that is cheaper than a set of the indices drawn so far.
    double set_size = 21;
    if (k > 5)
        set_size += std::pow(4.0, std::ceil(std::log(static_cast<double>(k) * 3) / std::log(4.0)));
    if (static_cast<double>(n) <= set_size) {
        std::vector<std::size_t> pool(n);
        std::iota(pool.begin(), pool.end(), std::size_t{0});
        for (std::size_t i = 0; i < k; ++i) {
            const std::size_t j = randbelow(n - i);
            result[i] = pool[j];
            pool[j] = pool[n - i - 1];
        }
    } else {
        std::unordered_set<std::size_t> selected;
        for (std::size_t i = 0; i < k; ++i) {
            std::size_t j = randbelow(n);
            while (!selected.insert(j).second) j = randbelow(n);
            result[i] = j;
        }
    }
    return result;
}

std::vector<std::size_t> PythonRandom::choices(std::size_t n, std::size_t k) {
    if (n == 0) throw InternalError("PythonRandom::choices: nothing to choose from");
    std::vector<std::size_t> result(k);
    for (std::size_t& index : result) {
        index = static_cast<std::size_t>(std::floor(random() * static_cast<double>(n)));
    }
    return result;
}

std::vector<std::size_t> PythonRandom::shuffled(std::size_t n) {
    std::vector<std::size_t> result(n);
    std::iota(result.begin(), result.end(), std::size_t{0});
    for (std::size_t i = n; i-- > 1;) std::swap(result[i], result[randbelow(i + 1)]);
    return result;
}

}  // namespace muster
