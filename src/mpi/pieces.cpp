#include "pieces.h"

#include <algorithm>

namespace muster {

namespace {
std::size_t current_piece_bytes = kPieceBytes;
}

std::size_t piece_bytes() {
    return current_piece_bytes;
}
void set_piece_bytes(std::size_t bytes) {
    current_piece_bytes = bytes == 0 ? kPieceBytes : bytes;
}

Round round_of(std::span<const std::uint64_t> sizes, std::uint64_t begin, std::size_t piece) {
    Round round;
    round.counts.reserve(sizes.size());
    round.displacements.reserve(sizes.size());
    const std::uint64_t end = begin + piece;
    std::uint64_t start = 0;
    for (const std::uint64_t size : sizes) {
        const std::uint64_t from = std::clamp(start, begin, end);
        const std::uint64_t to = std::clamp(start + size, begin, end);
        round.displacements.push_back(static_cast<int>(from - begin));
        round.counts.push_back(static_cast<int>(to - from));
        round.bytes += to - from;
        start += size;
    }
    return round;
}

}  // namespace muster
