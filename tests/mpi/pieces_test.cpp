// The arithmetic of rounds, without communication.

#include "pieces.h"
#include "mpi_test.h"

using muster::round_of;

TEST_CASE("rounds cut the concatenation of all blocks") {
    const std::vector<std::uint64_t> sizes{5, 0, 7, 1};
    const auto first = round_of(sizes, 0, 6);
    CHECK(first.counts == std::vector<int>{5, 0, 1, 0});
    CHECK(first.displacements == std::vector<int>{0, 5, 5, 6});
    CHECK(first.bytes == 6);
    const auto second = round_of(sizes, 6, 6);
    CHECK(second.counts == std::vector<int>{0, 0, 6, 0});
    CHECK(second.displacements == std::vector<int>{0, 0, 0, 6});
    const auto third = round_of(sizes, 12, 6);
    CHECK(third.counts == std::vector<int>{0, 0, 0, 1});
    CHECK(third.bytes == 1);
}

TEST_CASE("rounds of blocks beyond 4 GiB fit an int") {
    const std::uint64_t gib = std::uint64_t{1} << 30;
    const std::vector<std::uint64_t> sizes{3 * gib, 5 * gib};
    std::vector<std::uint64_t> sums(2);
    for (std::uint64_t begin = 0; begin < 8 * gib; begin += muster::kPieceBytes) {
        const auto round = round_of(sizes, begin, muster::kPieceBytes);
        CHECK(round.bytes == muster::kPieceBytes);
        for (std::size_t r = 0; r < 2; ++r) {
            sums[r] += static_cast<std::uint64_t>(round.counts[r]);
            CHECK(round.displacements[r] >= 0);
        }
    }
    CHECK(sums == sizes);
}
