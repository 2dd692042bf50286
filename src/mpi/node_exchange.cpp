// Waiting: awake for at most kSpin, then asleep on a futex of the shared counter. A sleeper says so
// beforehand and the kernel compares the counter once more before it lets it sleep, while the
// publisher first counts and then looks for sleepers: one of the two sees the other.

#include "muster/mpi/node_exchange.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstring>

#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/text.h"

namespace muster {

namespace {

constexpr std::chrono::microseconds kSpin{50};

// Not FUTEX_PRIVATE: the other side is another process.
void sleep_while(const std::uint32_t& word, std::uint32_t value) {
    syscall(SYS_futex, &word, FUTEX_WAIT, value, nullptr, nullptr, 0);
}
void wake_all(const std::uint32_t& word) {
    syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

/// True if a counter that stands at `pieces` has reached `wanted`; both wrap around.
bool reached(std::uint32_t pieces, std::uint32_t wanted) {
    return static_cast<std::int32_t>(pieces - wanted) >= 0;
}

template <typename Done>
bool spin_until(const Done& done) {
    const auto end = std::chrono::steady_clock::now() + kSpin;
    do {
        for (int i = 0; i < 16; ++i) {
            if (done()) return true;
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
    } while (std::chrono::steady_clock::now() < end);
    return false;
}

}  // namespace

std::unique_ptr<NodeExchange> NodeExchange::make(const Communicator& comm) {
    return make(comm, Options());
}

std::unique_ptr<NodeExchange> NodeExchange::make(const Communicator& comm, const Options& options) {
    if (options.slot_bytes == 0 || options.slot_bytes % 64 != 0)
        throw InternalError(cat("NodeExchange: slots of ", options.slot_bytes, " bytes"));
    if (comm.size() == 1) return nullptr;
    const auto ranks = static_cast<std::uint64_t>(comm.size());
    const std::uint64_t bytes = ranks * (sizeof(Counter) + 2 * options.slot_bytes);
    auto memory = SharedMemory::make(comm, bytes, SharedMemory::Access::all_write, options.ways);
    if (!memory) {
        if (comm.split_by_node().size() == comm.size())
            warn("the ranks of this node cannot share memory (no memfd through /proc, no room in "
                 "/dev/shm); they exchange by MPI, which is slower");
        return nullptr;
    }
    return std::unique_ptr<NodeExchange>(
        new NodeExchange(std::move(memory), comm.rank(), comm.size(), options));
}

NodeExchange::NodeExchange(std::unique_ptr<SharedMemory> memory, int rank, int size,
                           const Options& options)
    : memory_(std::move(memory)),
      rank_(rank),
      size_(size),
      slot_bytes_(options.slot_bytes),
      spin_(options.spin) {}

NodeExchange::Counter& NodeExchange::counter(int rank) const {
    return reinterpret_cast<Counter*>(memory_->bytes().data())[rank];
}

std::byte* NodeExchange::slot(int rank, std::uint32_t piece) const {
    const std::size_t index = 2 * static_cast<std::size_t>(rank) + piece % 2;
    return memory_->bytes().data() + static_cast<std::size_t>(size_) * sizeof(Counter) +
           index * slot_bytes_;
}

void NodeExchange::publish() {
    Counter& own = counter(rank_);
    ++published_;
    std::atomic_ref(own.pieces).store(published_, std::memory_order_seq_cst);
    if (std::atomic_ref(own.sleepers).load(std::memory_order_seq_cst) != 0) wake_all(own.pieces);
}

const std::byte* NodeExchange::piece_of(int rank) const {
    Counter& other = counter(rank);
    const std::atomic_ref<std::uint32_t> pieces(other.pieces);
    const auto there = [&] { return reached(pieces.load(std::memory_order_acquire), published_); };
    if (!there() && !(spin_ && spin_until(there))) {
        const std::atomic_ref<std::uint32_t> sleepers(other.sleepers);
        sleepers.fetch_add(1, std::memory_order_seq_cst);
        for (std::uint32_t seen;
             !reached(seen = pieces.load(std::memory_order_acquire), published_);)
            sleep_while(other.pieces, seen);
        sleepers.fetch_sub(1, std::memory_order_relaxed);
    }
    return slot(rank, published_ - 1);
}

void NodeExchange::all_gather(std::span<const std::byte> in, std::span<std::byte> out) {
    const std::size_t block = in.size();
    if (out.size() != block * static_cast<std::size_t>(size_)) {
        throw InternalError(cat("all_gather: ", out.size(), " bytes of room for ", size_,
                                " blocks of ", block, " bytes"));
    }
    for (std::size_t begin = 0; begin < block; begin += slot_bytes_) {
        const std::size_t bytes = std::min(slot_bytes_, block - begin);
        std::memcpy(own_slot(), in.data() + begin, bytes);
        publish();
        for (int r = 0; r < size_; ++r) {
            std::byte* to = out.data() + static_cast<std::size_t>(r) * block + begin;
            if (r != rank_)
                std::memcpy(to, piece_of(r), bytes);
            else if (to != in.data() + begin)
                std::memcpy(to, in.data() + begin, bytes);
        }
    }
}

}  // namespace muster
