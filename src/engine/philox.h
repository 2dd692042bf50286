#pragma once
// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random
// numbers: as easy as 1, 2, 3" (SC 2011); constants and rounds as in Random123 1.14 and
// curand_philox4x32_x.h. A draw is a pure function of key and counter, hence independent of batch,
// rank and resume point.

#include <array>
#include <cstdint>

namespace muster {

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

/// Four random words for one counter.
inline PhiloxCounter philox4x32(PhiloxCounter counter, PhiloxKey key) {
    constexpr std::uint64_t kMultiply0 = 0xD2511F53u, kMultiply1 = 0xCD9E8D57u;
    constexpr std::uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t product0 = kMultiply0 * counter[0], product1 = kMultiply1 * counter[2];
        counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
                   static_cast<std::uint32_t>(product1),
                   static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
                   static_cast<std::uint32_t>(product0)};
        key[0] += kWeyl0;
        key[1] += kWeyl1;
    }
    return counter;
}

/// Two independent doubles in [0, 1) with 53 random bits each, from the words of a draw in order.
inline std::array<double, 2> philox_uniforms(const PhiloxCounter& counter, const PhiloxKey& key) {
    const PhiloxCounter words = philox4x32(counter, key);
    const auto uniform = [](std::uint64_t high, std::uint64_t low) {
        return static_cast<double>(((high >> 5) << 26) | (low >> 6)) * 0x1p-53;
    };
    return {uniform(words[0], words[1]), uniform(words[2], words[3])};
}
/// The first of them.
inline double philox_uniform(const PhiloxCounter& counter, const PhiloxKey& key) {
    return philox_uniforms(counter, key)[0];
}

}  // namespace muster
