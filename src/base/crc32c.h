#pragma once
// The portable CRC-32C, visible so that tests can hold the fast one against it.

#include <cstdint>
#include <string_view>

namespace muster {

std::uint32_t crc32c_table(std::string_view bytes, std::uint32_t seed);

}  // namespace muster
