#include "muster/mpi/communicator.h"

#include <utility>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "transport.h"

namespace muster {

namespace {

void check_rank(const char* what, int rank, int size) {
    if (rank < 0 || rank >= size) {
        throw InternalError(cat(what, ": rank ", rank, " in a communicator of ", size, " ranks"));
    }
}

void check_tag(int tag) {
    // 32767 is the smallest upper bound that MPI promises.
    if (tag < 0 || tag > 32767) throw InternalError(cat("message tag ", tag, " not in [0, 32767]"));
}

}  // namespace

Communicator::Communicator(std::unique_ptr<Transport> transport)
    : transport_(std::move(transport)) {}
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;
Communicator::~Communicator() = default;

Communicator Communicator::world() {
    return Communicator(make_world_transport());
}
Communicator Communicator::self() {
    return Communicator(make_self_transport());
}

int Communicator::rank() const {
    return transport_->rank();
}
int Communicator::size() const {
    return transport_->size();
}

std::optional<Communicator> Communicator::split(int color, int key) const {
    auto part = transport_->split(color, key);
    if (!part) return std::nullopt;
    return Communicator(std::move(part));
}
Communicator Communicator::split_by_node() const {
    return Communicator(transport_->split_by_node());
}
Communicator Communicator::duplicate() const {
    return Communicator(transport_->duplicate());
}

void Communicator::barrier() const {
    transport_->barrier();
}

void Communicator::broadcast(std::span<std::byte> bytes, int root) const {
    check_rank("broadcast", root, size());
    transport_->broadcast(bytes, root);
}

void Communicator::broadcast(std::string& bytes, int root) const {
    check_rank("broadcast", root, size());
    std::uint64_t length = bytes.size();
    transport_->broadcast(std::as_writable_bytes(std::span(&length, 1)), root);
    bytes.resize(length);
    transport_->broadcast(std::as_writable_bytes(std::span(bytes)), root);
}

std::vector<std::string> Communicator::gather(const std::string& bytes, int root) const {
    check_rank("gather", root, size());
    return transport_->gather(bytes, root);
}

std::vector<std::string> Communicator::all_gather(const std::string& bytes) const {
    return transport_->all_gather(bytes);
}

void Communicator::all_gather(std::span<const std::byte> in, std::span<std::byte> out) const {
    if (out.size() != in.size() * static_cast<std::size_t>(size())) {
        throw InternalError(cat("all_gather: ", out.size(), " bytes of room for ", size(),
                                " blocks of ", in.size(), " bytes"));
    }
    transport_->all_gather(in, out);
}

void Communicator::all_to_all(std::span<const std::byte> in, std::span<std::byte> out) const {
    if (out.size() != in.size() || in.size() % static_cast<std::size_t>(size()) != 0) {
        throw InternalError(cat("all_to_all: ", in.size(), " bytes into ", out.size(),
                                "; expected equal multiples of ", size()));
    }
    transport_->all_to_all(in, out);
}

std::int64_t Communicator::max(std::int64_t value) const {
    return transport_->reduce(value, Reduction::max);
}
std::int64_t Communicator::min(std::int64_t value) const {
    return transport_->reduce(value, Reduction::min);
}
std::int64_t Communicator::sum(std::int64_t value) const {
    return transport_->reduce(value, Reduction::sum);
}

void Communicator::send(int to, int tag, const std::string& bytes) const {
    check_rank("send", to, size());
    check_tag(tag);
    transport_->send(to, tag, bytes);
}

std::unique_ptr<PendingSend> Communicator::start_send(int to, int tag, std::string bytes) const {
    check_rank("start_send", to, size());
    check_tag(tag);
    return transport_->start_send(to, tag, std::move(bytes));
}

Communicator::Message Communicator::receive(int from, int tag) const {
    if (from != any_rank) check_rank("receive", from, size());
    if (tag != any_tag) check_tag(tag);
    return transport_->receive(from, tag);
}

std::optional<Communicator::Message> Communicator::try_receive(int from, int tag) const {
    if (from != any_rank) check_rank("try_receive", from, size());
    if (tag != any_tag) check_tag(tag);
    return transport_->try_receive(from, tag);
}

}  // namespace muster
