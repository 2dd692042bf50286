#pragma once
// Builds safetensors files byte by byte, right or wrong.

#include <cstdint>
#include <string>
#include <string_view>

namespace muster::test {

/// Header length, header and data as the format puts them together.
inline std::string safetensors_bytes(std::string_view header, std::string_view data) {
    std::string bytes;
    for (int i = 0; i < 8; ++i)
        bytes += static_cast<char>(std::uint64_t{header.size()} >> (8 * i) & 0xFF);
    bytes += header;
    bytes += data;
    return bytes;
}

}  // namespace muster::test
