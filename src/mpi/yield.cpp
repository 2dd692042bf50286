// Open MPI's ranks poll while they wait. With more ranks than cores a waiting rank then keeps the
// core from the one it waits for: 4 ranks on 2 cores need more than 50 ms for a broadcast and an
// all-gather of 4 KiB, and 0.04 ms when idle ranks yield (Open MPI 4.1.4). mpirun arranges that
// itself only if it knows of the oversubscription, not with `--host localhost:8` or under srun. The
// parameter is read at MPI_Init.

#include <cstdlib>

#include "affinity.h"
#include "launcher.h"
#include "muster/mpi/host.h"

namespace muster {

void yield_when_oversubscribed() {
    const int ranks =
        local_size_evidence([](const char* name) -> const char* { return std::getenv(name); });
    if (ranks > affinity_cores()) setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
}

}  // namespace muster
