#pragma once
// Where the CPU backend's memory comes from.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "muster/mpi/communicator.h"
#include "muster/mpi/shared_memory.h"

namespace muster::cpu {

/// `bytes` of 64-byte aligned memory; in huge pages, as far as the system has them, if it is large.
/// Throws SystemError naming the bytes.
std::shared_ptr<std::byte> allocate_aligned(std::uint64_t bytes);

/// Memory for packed weights: this rank's own, or shared with the ranks of the node that load the
/// same weights. These make the same calls in the same order; each packs a part of every block.
class WeightMemory {
 public:
    /// Every rank has its own.
    WeightMemory() = default;
    /// `bytes` shared by `sharers`. What does not fit, and all if the system does not let them
    /// share, is every rank's own. Collective over `sharers`.
    WeightMemory(const Communicator& sharers, std::uint64_t bytes);

    struct Block {
        std::shared_ptr<std::byte> data;
        int part = 0, parts = 1;  ///< this rank packs the `part`-th of `parts` equal parts
    };
    Block take(std::uint64_t bytes);

 private:
    std::shared_ptr<SharedMemory> shared_;
    std::uint64_t taken_ = 0;
    int part_ = 0, parts_ = 1;
};

}  // namespace muster::cpu
