#pragma once
// What a Communicator forwards to: MPI, or a world of one in this process. Arguments are checked by
// Communicator before they come here.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "muster/mpi/communicator.h"

namespace muster {

enum class Reduction { max, min, sum };

class Transport {
 public:
    virtual ~Transport() = default;
    virtual int rank() const = 0;
    virtual int size() const = 0;

    /// nullptr for a negative color.
    virtual std::unique_ptr<Transport> split(int color, int key) = 0;
    virtual std::unique_ptr<Transport> split_by_node() = 0;
    virtual std::unique_ptr<Transport> duplicate() = 0;

    virtual void barrier() = 0;
    virtual void broadcast(std::span<std::byte> bytes, int root) = 0;
    virtual std::vector<std::string> gather(const std::string& bytes, int root) = 0;
    virtual std::vector<std::string> all_gather(const std::string& bytes) = 0;
    virtual void all_gather(std::span<const std::byte> in, std::span<std::byte> out) = 0;
    virtual void all_to_all(std::span<const std::byte> in, std::span<std::byte> out) = 0;
    virtual std::int64_t reduce(std::int64_t value, Reduction reduction) = 0;

    virtual void send(int to, int tag, const std::string& bytes) = 0;
    virtual std::unique_ptr<PendingSend> start_send(int to, int tag, std::string bytes) = 0;
    virtual Communicator::Message receive(int from, int tag) = 0;
    virtual std::optional<Communicator::Message> try_receive(int from, int tag) = 0;
};

std::unique_ptr<Transport> make_world_transport();
std::unique_ptr<Transport> make_self_transport();

}  // namespace muster
