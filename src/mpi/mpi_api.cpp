#include "mpi_api.h"

#include <array>
#include <string>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

void check_mpi(int code, const char* call) {
    if (code == MPI_SUCCESS) return;
    std::array<char, MPI_MAX_ERROR_STRING> text{};
    int length = 0;
    if (MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) length = 0;
    throw SystemError(cat(call, ": ", std::string(text.data(), static_cast<std::size_t>(length)),
                          " (MPI error ", code, ")"));
}

}  // namespace muster
