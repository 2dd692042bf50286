// Gathers of any size. Strings: every rank learns all lengths, then the concatenation of all
// strings in rank order travels in rounds of one piece, so that counts and displacements fit an int
// however the bytes are spread over the ranks. Blocks: if all of them exceed a piece, sub-blocks of
// all ranks travel together, placed by a type whose stride is the block; nothing is copied or
// allocated.

#include <algorithm>
#include <limits>
#include <numeric>

#include "datatype.h"
#include "mpi_transport.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "pieces.h"

namespace muster {

namespace {

std::uint64_t total_of(const std::vector<std::uint64_t>& sizes) {
    return std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
}

/// One empty string per rank with room for its size.
std::vector<std::string> make_results(const std::vector<std::uint64_t>& sizes) {
    std::vector<std::string> results(sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) results[i].reserve(sizes[i]);
    return results;
}

void append_round(std::vector<std::string>& results, const Round& round, const char* buffer) {
    for (std::size_t i = 0; i < results.size(); ++i) {
        results[i].append(buffer + round.displacements[i],
                          static_cast<std::size_t>(round.counts[i]));
    }
}

/// Bytes of each rank's block that go into one call.
std::size_t sub_block(std::size_t block, int ranks) {
    return std::clamp(piece_bytes() / static_cast<std::size_t>(ranks), std::size_t{1}, block);
}

bool fits_one_piece(std::size_t block, int ranks) {
    return block <= piece_bytes() / static_cast<std::size_t>(ranks);
}

}  // namespace

std::vector<std::uint64_t> MpiTransport::gather_sizes(const std::string& bytes) {
    const std::uint64_t mine = bytes.size();
    std::vector<std::uint64_t> sizes(static_cast<std::size_t>(size_));
    check_mpi(MPI_Allgather(&mine, 1, MPI_UINT64_T, sizes.data(), 1, MPI_UINT64_T, comm_),
              "MPI_Allgather");
    return sizes;
}

std::vector<std::string> MpiTransport::gather(const std::string& bytes, int root) {
    const auto sizes = gather_sizes(bytes);
    const std::uint64_t total = total_of(sizes);
    const std::size_t piece = piece_bytes();
    std::vector<std::string> results;
    std::string buffer;
    if (rank_ == root) {
        results = make_results(sizes);
        buffer.resize(std::min<std::uint64_t>(piece, total));
    }
    const char* next = bytes.data();
    for (std::uint64_t begin = 0; begin < total; begin += piece) {
        const Round round = round_of(sizes, begin, piece);
        const int mine = round.counts[static_cast<std::size_t>(rank_)];
        check_mpi(MPI_Gatherv(next, mine, MPI_BYTE, buffer.data(), round.counts.data(),
                              round.displacements.data(), MPI_BYTE, root, comm_),
                  "MPI_Gatherv");
        next += mine;
        if (rank_ == root) append_round(results, round, buffer.data());
    }
    return results;
}

std::vector<std::string> MpiTransport::all_gather(const std::string& bytes) {
    const auto sizes = gather_sizes(bytes);
    const std::uint64_t total = total_of(sizes);
    const std::size_t piece = piece_bytes();
    auto results = make_results(sizes);
    std::string buffer(std::min<std::uint64_t>(piece, total), '\0');
    const char* next = bytes.data();
    for (std::uint64_t begin = 0; begin < total; begin += piece) {
        const Round round = round_of(sizes, begin, piece);
        const int mine = round.counts[static_cast<std::size_t>(rank_)];
        check_mpi(MPI_Allgatherv(next, mine, MPI_BYTE, buffer.data(), round.counts.data(),
                                 round.displacements.data(), MPI_BYTE, comm_),
                  "MPI_Allgatherv");
        next += mine;
        append_round(results, round, buffer.data());
    }
    return results;
}

void MpiTransport::all_gather(std::span<const std::byte> in, std::span<std::byte> out) {
    const std::size_t block = in.size();
    if (block == 0) return;
    std::byte* own = out.data() + static_cast<std::size_t>(rank_) * block;
    const bool in_place = in.data() == own;
    if (fits_one_piece(block, size_)) {
        const int count = static_cast<int>(block);
        check_mpi(MPI_Allgather(in_place ? MPI_IN_PLACE : in.data(), count, MPI_BYTE, out.data(),
                                count, MPI_BYTE, comm_),
                  "MPI_Allgather");
        return;
    }
    const std::size_t step = sub_block(block, size_);
    for (std::size_t begin = 0; begin < block; begin += step) {
        const std::size_t part = std::min(step, block - begin);
        const auto placed = ByteType::strided(part, block);
        check_mpi(MPI_Allgather(in_place ? MPI_IN_PLACE : in.data() + begin, static_cast<int>(part),
                                MPI_BYTE, out.data() + begin, 1, placed.type(), comm_),
                  "MPI_Allgather");
    }
}

void MpiTransport::all_to_all(std::span<const std::byte> in, std::span<std::byte> out) {
    const std::size_t block = in.size() / static_cast<std::size_t>(size_);
    if (block == 0) return;
    if (fits_one_piece(block, size_)) {
        const int count = static_cast<int>(block);
        check_mpi(MPI_Alltoall(in.data(), count, MPI_BYTE, out.data(), count, MPI_BYTE, comm_),
                  "MPI_Alltoall");
        return;
    }
    const std::size_t step = sub_block(block, size_);
    for (std::size_t begin = 0; begin < block; begin += step) {
        const auto placed = ByteType::strided(std::min(step, block - begin), block);
        check_mpi(MPI_Alltoall(in.data() + begin, 1, placed.type(), out.data() + begin, 1,
                               placed.type(), comm_),
                  "MPI_Alltoall");
    }
}

}  // namespace muster
