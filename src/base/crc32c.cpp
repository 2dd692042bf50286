// CRC-32C with reflected polynomial 0x82F63B78 (RFC 3720, appendix B.4): the processor's own
// instruction where there is one, a table of 256 entries elsewhere. Both give the same sums.
#include "crc32c.h"

#include <array>
#include <cstring>

#include "muster/base/hash.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace muster {

namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
        table[i] = crc;
    }
    return table;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::string_view bytes,
                                                             std::uint32_t seed) {
    std::uint64_t crc = ~seed;
    std::size_t i = 0;
    for (; i + 8 <= bytes.size(); i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + i, 8);
        crc = _mm_crc32_u64(crc, word);
    }
    auto narrow = static_cast<std::uint32_t>(crc);
    for (; i < bytes.size(); ++i)
        narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(bytes[i]));
    return ~narrow;
}
#endif

}  // namespace

std::uint32_t crc32c_table(std::string_view bytes, std::uint32_t seed) {
    static constexpr std::array<std::uint32_t, 256> kTable = make_table();
    std::uint32_t crc = ~seed;
    for (char c : bytes) crc = crc >> 8 ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
    return ~crc;
}

std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed) {
#if defined(__x86_64__)
    static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
    if (has_instruction) return crc32c_sse42(bytes, seed);
#endif
    return crc32c_table(bytes, seed);
}

}  // namespace muster
