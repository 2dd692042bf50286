#pragma once
// Memory that several processes of one node see at once. It has no name that could outlive them: a
// file that exists in memory only, or one in /dev/shm whose name is removed before anyone uses it.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "muster/mpi/communicator.h"

namespace muster {

class SharedMemory {
 public:
    /// How the ranks come to the same pages.
    enum class Way {
        memfd,   ///< rank 0's anonymous file, opened by the others as /proc/<pid>/fd/<fd>
        dev_shm  ///< a file in /dev/shm, which containers often limit to 64 MB
    };
    /// Rank 0 always writes.
    enum class Access { all_write, others_read };

    /// `bytes` of zeros that all ranks of `comm` have mapped, or nullptr on all of them if `comm`
    /// spans nodes or none of `ways` works here. Collective.
    static std::unique_ptr<SharedMemory> make(const Communicator& comm, std::uint64_t bytes,
                                              Access access,
                                              const std::vector<Way>& ways = {Way::memfd,
                                                                              Way::dev_shm});
    ~SharedMemory();
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;

    std::span<std::byte> bytes() const { return {data_, size_}; }
    Way way() const { return way_; }

 private:
    SharedMemory(std::byte* data, std::size_t size, Way way)
        : data_(data), size_(size), way_(way) {}

    std::byte* data_;
    std::size_t size_;
    Way way_;
};

}  // namespace muster
