#pragma once
// The models of tests/golden/models and tokens for them.

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

inline std::string golden_model(const std::string& name) {
    return std::string(MUSTER_SOURCE_DIR) + "/tests/golden/models/" + name;
}

/// `count` ids below the models' smallest vocabulary.
inline std::vector<std::int32_t> random_tokens(std::size_t count) {
    const unsigned seed = std::random_device{}();
    MESSAGE("seed ", seed);
    std::mt19937 random(seed);
    std::vector<std::int32_t> ids(count);
    for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % 61);
    return ids;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}
