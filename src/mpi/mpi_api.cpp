#include "mpi_api.h"

#include <array>
#include <string>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/mpi/session.h"

namespace muster {

void check_mpi(int code, const char* call) {
    if (code == MPI_SUCCESS) return;
    std::array<char, MPI_MAX_ERROR_STRING> text{};
    int length = 0;
    if (MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) length = 0;
    throw SystemError(cat(call, ": ", std::string(text.data(), static_cast<std::size_t>(length)),
                          " (MPI error ", code, ")"));
}

int world_size() {
    if (!MpiSession::active()) return 1;
    int size = 0;
    check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size");
    return size;
}

}  // namespace muster
