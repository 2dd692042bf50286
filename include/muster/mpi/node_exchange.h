#pragma once
// Blocks of bytes between ranks of one node, through memory that they share: about a microsecond
// for a small block where MPI takes several, and readers add straight from the writer's slot.
//
// Every rank has slots for two pieces. Data travel in pieces: all ranks write their own, publish
// it, and read the others'. Nobody publishes piece i + 1 before it has read all of piece i, so
// whoever sees piece i + 1 of all knows that the slots of piece i are free: one counter per rank is
// enough.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "muster/mpi/communicator.h"
#include "muster/mpi/shared_memory.h"

namespace muster {

class NodeExchange {
 public:
    static constexpr std::size_t kSlotBytes = std::size_t{256} << 10;

    struct Options {
        std::size_t slot_bytes = kSlotBytes;  ///< a multiple of 64, the same on all ranks
        /// Waiting ranks stay awake for some microseconds before they sleep. Not for ranks that
        /// share cores: the one waited for may need this one.
        bool spin = true;
        std::vector<SharedMemory::Way> ways = {SharedMemory::Way::memfd,
                                               SharedMemory::Way::dev_shm};
    };

    /// An exchange between the ranks of `comm`, or nullptr on all of them if there is one rank only
    /// or they cannot share memory. Collective; so is every use.
    static std::unique_ptr<NodeExchange> make(const Communicator& comm, const Options& options);
    static std::unique_ptr<NodeExchange> make(const Communicator& comm);

    int rank() const { return rank_; }
    int size() const { return size_; }
    std::size_t slot_bytes() const { return slot_bytes_; }
    SharedMemory::Way way() const { return memory_->way(); }

    // One piece: write to own_slot(), publish(), read piece_of() every other rank.
    /// Room for this rank's next piece, slot_bytes() of it, 64-byte aligned.
    std::byte* own_slot() const { return slot(rank_, published_); }
    /// Lets the others see the own slot. Ends the reading of earlier pieces.
    void publish();
    /// The piece that `rank` published together with this rank's last one; waits until it is there.
    /// Good until this rank's next publish().
    const std::byte* piece_of(int rank) const;

    /// `out` holds size() blocks, `in` of every rank in rank order. `in` may be this rank's own
    /// block of `out`, and must not overlap it otherwise.
    void all_gather(std::span<const std::byte> in, std::span<std::byte> out);

 private:
    struct alignas(128) Counter {  // two cache lines: processors fetch them in pairs
        std::uint32_t pieces;      ///< published so far, modulo 2^32
        std::uint32_t sleepers;    ///< ranks asleep until `pieces` changes
    };

    NodeExchange(std::unique_ptr<SharedMemory> memory, int rank, int size, const Options& options);
    Counter& counter(int rank) const;
    std::byte* slot(int rank, std::uint32_t piece) const;

    std::unique_ptr<SharedMemory> memory_;
    int rank_, size_;
    std::size_t slot_bytes_;
    bool spin_;
    std::uint32_t published_ = 0;  ///< by this rank
};

}  // namespace muster
