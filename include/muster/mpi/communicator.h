#pragma once
// RAII over an MPI communicator; the only MPI calls in the program. Every call checks its return code
// and throws SystemError with MPI's own text. Byte counts may exceed INT_MAX: transfers are cut into
// pieces. "Collective" means over all ranks of this communicator, in the same order everywhere.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace muster {

class Transport;

/// A message sent with start_send that may still be in flight. Its destructor waits until it has left, except
/// while an exception unwinds (the receiver may be gone); then the bytes are leaked to the dying process.
class PendingSend {
 public:
    virtual ~PendingSend() = default;
    /// True once the message has left; never waits.
    virtual bool done() = 0;
};

class Communicator {
 public:
    /// MPI_COMM_WORLD, duplicated. Collective. Needs a live MpiSession.
    static Communicator world();
    /// A world of one that needs no MPI: every collective is a copy.
    static Communicator self();

    Communicator(Communicator&&) noexcept;
    Communicator& operator=(Communicator&&) noexcept;
    ~Communicator();

    int rank() const;
    int size() const;
    bool is_root() const { return rank() == 0; }

    /// Ranks with equal `color`, ordered by `key` then by old rank. A negative color gives an empty result. Collective.
    std::optional<Communicator> split(int color, int key) const;
    /// Ranks that share memory (one node), ordered by rank. Collective. MPI_Comm_split_type(SHARED).
    Communicator split_by_node() const;
    Communicator duplicate() const;

    void barrier() const;
    /// Copies `bytes` of `root` to all ranks; resized elsewhere. Collective.
    void broadcast(std::string& bytes, int root = 0) const;
    void broadcast(std::span<std::byte> bytes, int root = 0) const;
    /// At `root`: every rank's bytes in rank order; elsewhere an empty vector. MPI_Gatherv in pieces below 2 GiB
    /// in total and per rank. Collective.
    std::vector<std::string> gather(const std::string& bytes, int root = 0) const;
    /// Every rank's bytes in rank order, everywhere. Collective.
    std::vector<std::string> all_gather(const std::string& bytes) const;
    /// Fixed-size blocks: `out` holds size() blocks of in.size() bytes in rank order. `in` may be this rank's own
    /// block of `out`, and must not overlap it otherwise. Collective. No allocation.
    void all_gather(std::span<const std::byte> in, std::span<std::byte> out) const;
    /// Block j of `in` goes to rank j; block i of `out` comes from rank i; blocks of equal size. `in` and `out` must
    /// not overlap. Collective.
    void all_to_all(std::span<const std::byte> in, std::span<std::byte> out) const;
    std::int64_t max(std::int64_t value) const;
    std::int64_t min(std::int64_t value) const;
    std::int64_t sum(std::int64_t value) const;

    // Ordinary messages, also to oneself. Order between two ranks and one tag is kept. 0 ≤ tag ≤ 32767.
    void send(int to, int tag, const std::string& bytes) const;
    /// Returns at once; the bytes are kept inside until delivered.
    std::unique_ptr<PendingSend> start_send(int to, int tag, std::string bytes) const;
    struct Message {
        int from = 0, tag = 0;
        std::string bytes;
    };
    static constexpr int any_rank = -1, any_tag = -1;
    Message receive(int from = any_rank, int tag = any_tag) const;
    /// A message that has already arrived, if any; never waits for one to start.
    std::optional<Message> try_receive(int from = any_rank, int tag = any_tag) const;

 private:
    explicit Communicator(std::unique_ptr<Transport> transport);
    std::unique_ptr<Transport> transport_;
};

}  // namespace muster
