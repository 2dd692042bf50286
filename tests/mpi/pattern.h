#pragma once
// Bytes that differ by rank and position, so that a piece in the wrong place is seen.

#include <cstddef>
#include <string>

inline char pattern_byte(int rank, std::size_t i) {
    return static_cast<char>((static_cast<std::size_t>(rank) * 101 + i * 7 + i / 251) & 0xff);
}

inline std::string pattern(int rank, std::size_t length) {
    std::string bytes(length, '\0');
    for (std::size_t i = 0; i < length; ++i) bytes[i] = pattern_byte(rank, i);
    return bytes;
}
