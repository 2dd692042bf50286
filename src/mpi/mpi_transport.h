#pragma once
// Communicator's calls over MPI. Collectives live in mpi_transport.cpp and mpi_gather.cpp, messages
// in mpi_message.cpp.

#include <vector>

#include "mpi_api.h"
#include "transport.h"

namespace muster {

class MpiTransport : public Transport {
 public:
    /// Takes `comm` over: sets its error handler to return codes, frees it at the end.
    explicit MpiTransport(MPI_Comm comm);
    ~MpiTransport() override;
    MpiTransport(const MpiTransport&) = delete;
    MpiTransport& operator=(const MpiTransport&) = delete;

    int rank() const override { return rank_; }
    int size() const override { return size_; }

    std::unique_ptr<Transport> split(int color, int key) override;
    std::unique_ptr<Transport> split_by_node() override;
    std::unique_ptr<Transport> duplicate() override;

    void barrier() override;
    void broadcast(std::span<std::byte> bytes, int root) override;
    std::vector<std::string> gather(const std::string& bytes, int root) override;
    std::vector<std::string> all_gather(const std::string& bytes) override;
    void all_gather(std::span<const std::byte> in, std::span<std::byte> out) override;
    void all_to_all(std::span<const std::byte> in, std::span<std::byte> out) override;
    std::int64_t reduce(std::int64_t value, Reduction reduction) override;

    void send(int to, int tag, const std::string& bytes) override;
    std::unique_ptr<PendingSend> start_send(int to, int tag, std::string bytes) override;
    Communicator::Message receive(int from, int tag) override;
    std::optional<Communicator::Message> try_receive(int from, int tag) override;

 private:
    std::vector<std::uint64_t> gather_sizes(const std::string& bytes);
    void drop_sends_to_self() noexcept;

    MPI_Comm comm_;
    int rank_ = 0, size_ = 1, exceptions_at_start_ = 0;
    std::vector<std::unique_ptr<PendingSend>> sends_to_self_;
};

}  // namespace muster
