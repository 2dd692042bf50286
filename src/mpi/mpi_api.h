#pragma once
// <mpi.h> without its removed C++ bindings, and the one place where return codes are checked.

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

namespace muster {

/// Throws SystemError "<call>: <MPI's own text>" unless `code` is MPI_SUCCESS.
void check_mpi(int code, const char* call);
/// Ranks of MPI_COMM_WORLD; 1 while there is no MPI.
int world_size();

}  // namespace muster
