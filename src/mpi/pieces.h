#pragma once
// How transfers beyond MPI's int counts are cut. Two ways: collectives move the concatenation of
// all ranks' bytes in rounds of at most piece_bytes(); a message is sent whole, as one derived type
// made of pieces, so that it stays one message for probing and ordering.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace muster {

/// Largest number of bytes that one MPI call counts. 256 MiB: far below 2 GiB also when an
/// implementation multiplies it by a small factor, and no slower than larger pieces.
inline constexpr std::size_t kPieceBytes = std::size_t{1} << 28;

/// kPieceBytes, or what a test has set.
std::size_t piece_bytes();
/// For tests, on every rank alike: cut into pieces of `bytes`; 0 restores the default.
void set_piece_bytes(std::size_t bytes);

/// The part of every rank that lies in one round of a gather.
struct Round {
    std::vector<int> counts;         ///< bytes of each rank in this round
    std::vector<int> displacements;  ///< where they start in the round's buffer
    std::size_t bytes = 0;           ///< their sum
};
/// Bytes [begin, begin + piece) of the concatenation of blocks of `sizes` bytes.
/// Needs piece below 2 GiB.
Round round_of(std::span<const std::uint64_t> sizes, std::uint64_t begin, std::size_t piece);

}  // namespace muster
