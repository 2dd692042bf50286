#include "mpi_transport.h"

#include <algorithm>
#include <exception>

#include "muster/base/error.h"
#include "muster/mpi/session.h"
#include "pieces.h"

namespace muster {

std::unique_ptr<Transport> make_world_transport() {
    if (!MpiSession::active()) throw InternalError("Communicator::world() without an MpiSession");
    MPI_Comm comm = MPI_COMM_NULL;
    check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup");
    return std::make_unique<MpiTransport>(comm);
}

MpiTransport::MpiTransport(MPI_Comm comm)
    : comm_(comm), exceptions_at_start_(std::uncaught_exceptions()) {
    check_mpi(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
}

MpiTransport::~MpiTransport() {
    // MPI_Comm_free is collective: while an exception unwinds here, the peers are elsewhere.
    if (!MpiSession::active() || std::uncaught_exceptions() > exceptions_at_start_) return;
    drop_sends_to_self();
    MPI_Comm_free(&comm_);
}

std::unique_ptr<Transport> MpiTransport::split(int color, int key) {
    MPI_Comm part = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split(comm_, color < 0 ? MPI_UNDEFINED : color, key, &part),
              "MPI_Comm_split");
    if (part == MPI_COMM_NULL) return nullptr;
    return std::make_unique<MpiTransport>(part);
}

std::unique_ptr<Transport> MpiTransport::split_by_node() {
    MPI_Comm node = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node),
              "MPI_Comm_split_type");
    return std::make_unique<MpiTransport>(node);
}

std::unique_ptr<Transport> MpiTransport::duplicate() {
    MPI_Comm copy = MPI_COMM_NULL;
    check_mpi(MPI_Comm_dup(comm_, &copy), "MPI_Comm_dup");
    return std::make_unique<MpiTransport>(copy);
}

void MpiTransport::barrier() {
    check_mpi(MPI_Barrier(comm_), "MPI_Barrier");
}

void MpiTransport::broadcast(std::span<std::byte> bytes, int root) {
    while (!bytes.empty()) {
        const std::size_t part = std::min(bytes.size(), piece_bytes());
        check_mpi(MPI_Bcast(bytes.data(), static_cast<int>(part), MPI_BYTE, root, comm_),
                  "MPI_Bcast");
        bytes = bytes.subspan(part);
    }
}

std::int64_t MpiTransport::reduce(std::int64_t value, Reduction reduction) {
    const MPI_Op op = reduction == Reduction::max   ? MPI_MAX
                      : reduction == Reduction::min ? MPI_MIN
                                                    : MPI_SUM;
    std::int64_t result = 0;
    check_mpi(MPI_Allreduce(&value, &result, 1, MPI_INT64_T, op, comm_), "MPI_Allreduce");
    return result;
}

}  // namespace muster
