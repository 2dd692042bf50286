// Time of one exchange of a block per rank: through shared memory, and by MPI_Allgather.
//   mpirun -np 2 exchange_bench

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "muster/mpi/communicator.h"
#include "muster/mpi/host.h"
#include "muster/mpi/node_exchange.h"
#include "muster/mpi/session.h"

namespace {

using Clock = std::chrono::steady_clock;

/// Prints min, median and max over 9 runs of the mean time of one call, in µs on rank 0.
template <typename Call>
void measure(const muster::Communicator& world, const char* name, std::size_t bytes,
             const Call& call) {
    const int calls = static_cast<int>(std::max<std::size_t>(10, (std::size_t{64} << 20) / bytes));
    std::vector<double> means;
    for (int run = 0; run < 9; ++run) {
        world.barrier();
        const auto start = Clock::now();
        for (int i = 0; i < calls; ++i) call();
        means.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count() /
                        calls);
    }
    std::sort(means.begin(), means.end());
    if (world.is_root())
        std::printf("%8zu bytes  %-14s min %8.1f  median %8.1f  max %8.1f us\n", bytes, name,
                    means.front(), means[means.size() / 2], means.back());
}

}  // namespace

int main(int argc, char** argv) {
    const muster::MpiSession session(&argc, &argv);
    const auto world = muster::Communicator::world();
    muster::NodeExchange::Options options;
    options.spin = world.size() <= muster::affinity_cores();
    const auto exchange = muster::NodeExchange::make(world, options);
    for (const std::size_t bytes : {std::size_t{64}, std::size_t{8} << 10, std::size_t{16} << 10,
                                    std::size_t{256} << 10, std::size_t{4} << 20}) {
        std::vector<std::byte> in(bytes, std::byte{1}),
            out(bytes * static_cast<std::size_t>(world.size()));
        measure(world, "MPI", bytes, [&] { world.all_gather(in, out); });
        if (exchange)
            measure(world, "shared memory", bytes, [&] { exchange->all_gather(in, out); });
    }
    return 0;
}
