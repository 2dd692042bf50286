// Messages. A message above one piece is sent as a single element of a derived type, so it is one
// message for probing and ordering whatever its size; the receiver learns the size from the probe.

#include <exception>
#include <utility>

#include "datatype.h"
#include "mpi_transport.h"
#include "muster/mpi/session.h"

namespace muster {

namespace {

class MpiPendingSend : public PendingSend {
 public:
    MpiPendingSend(MPI_Comm comm, int to, int tag, std::string bytes)
        : bytes_(std::make_unique<std::string>(std::move(bytes))),
          exceptions_at_start_(std::uncaught_exceptions()) {
        const auto type = ByteType::consecutive(bytes_->size());
        check_mpi(MPI_Isend(bytes_->data(), type.count(), type.type(), to, tag, comm, &request_),
                  "MPI_Isend");
    }

    ~MpiPendingSend() override {
        if (request_ == MPI_REQUEST_NULL) return;
        if (!MpiSession::active() || std::uncaught_exceptions() > exceptions_at_start_) {
            static_cast<void>(bytes_.release());  // MPI may still read them
            return;
        }
        MPI_Wait(&request_, MPI_STATUS_IGNORE);
    }

    bool done() override {
        int flag = 0;
        check_mpi(MPI_Test(&request_, &flag, MPI_STATUS_IGNORE), "MPI_Test");
        return flag != 0;
    }

 private:
    std::unique_ptr<std::string> bytes_;
    int exceptions_at_start_;
    MPI_Request request_ = MPI_REQUEST_NULL;
};

int mpi_rank(int from) {
    return from == Communicator::any_rank ? MPI_ANY_SOURCE : from;
}
int mpi_tag(int tag) {
    return tag == Communicator::any_tag ? MPI_ANY_TAG : tag;
}

Communicator::Message take(MPI_Message& matched, const MPI_Status& status) {
    MPI_Count length = 0;
    check_mpi(MPI_Get_elements_x(&status, MPI_BYTE, &length), "MPI_Get_elements_x");
    Communicator::Message message;
    message.from = status.MPI_SOURCE;
    message.tag = status.MPI_TAG;
    message.bytes.resize(static_cast<std::size_t>(length));
    const auto type = ByteType::consecutive(message.bytes.size());
    check_mpi(
        MPI_Mrecv(message.bytes.data(), type.count(), type.type(), &matched, MPI_STATUS_IGNORE),
        "MPI_Mrecv");
    return message;
}

}  // namespace

void MpiTransport::send(int to, int tag, const std::string& bytes) {
    if (to == rank_) {  // a blocking send to oneself would wait for a receive that cannot come
        std::erase_if(sends_to_self_, [](const auto& send) { return send->done(); });
        sends_to_self_.push_back(start_send(to, tag, bytes));
        return;
    }
    const auto type = ByteType::consecutive(bytes.size());
    check_mpi(MPI_Send(bytes.data(), type.count(), type.type(), to, tag, comm_), "MPI_Send");
}

/// Receives what was sent to oneself and never asked for, so that nobody waits for it.
void MpiTransport::drop_sends_to_self() noexcept {
    try {
        for (const auto& send : sends_to_self_) {
            while (!send->done()) try_receive(rank_, Communicator::any_tag);
        }
    } catch (const std::exception&) {
        return;  // MPI is broken; the process is about to end
    }
    sends_to_self_.clear();
}

std::unique_ptr<PendingSend> MpiTransport::start_send(int to, int tag, std::string bytes) {
    return std::make_unique<MpiPendingSend>(comm_, to, tag, std::move(bytes));
}

Communicator::Message MpiTransport::receive(int from, int tag) {
    MPI_Message matched = MPI_MESSAGE_NULL;
    MPI_Status status;
    check_mpi(MPI_Mprobe(mpi_rank(from), mpi_tag(tag), comm_, &matched, &status), "MPI_Mprobe");
    return take(matched, status);
}

std::optional<Communicator::Message> MpiTransport::try_receive(int from, int tag) {
    MPI_Message matched = MPI_MESSAGE_NULL;
    MPI_Status status;
    int flag = 0;
    check_mpi(MPI_Improbe(mpi_rank(from), mpi_tag(tag), comm_, &flag, &matched, &status),
              "MPI_Improbe");
    if (flag == 0) return std::nullopt;
    return take(matched, status);
}

}  // namespace muster
