#include "muster/mpi/host.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "affinity.h"
#include "mpi_api.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/mpi/session.h"

namespace muster {

std::string host_name() {
    if (MpiSession::active()) {
        std::array<char, MPI_MAX_PROCESSOR_NAME> name{};
        int length = 0;
        check_mpi(MPI_Get_processor_name(name.data(), &length), "MPI_Get_processor_name");
        return std::string(name.data(), static_cast<std::size_t>(length));
    }
    std::array<char, 256> name{};
    if (gethostname(name.data(), name.size() - 1) != 0) {
        throw SystemError(cat("gethostname: ", std::strerror(errno)));
    }
    return name.data();
}

const std::vector<int>& allowed_cores() {
    static const std::vector<int> cores = thread_cpus();
    return cores;
}

int affinity_cores() {
    return std::max(1, static_cast<int>(allowed_cores().size()));
}

int default_threads(int local_size) {
    if (local_size < 1) throw InternalError(cat("default_threads: ", local_size, " local ranks"));
    return std::max(1, affinity_cores() / local_size);
}

int default_threads(const Communicator& node) {
    const std::vector<int>& mine = allowed_cores();
    const std::string bytes(reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(int));
    std::vector<std::vector<int>> masks;
    for (const auto& packed : node.all_gather(bytes)) {
        masks.emplace_back(packed.size() / sizeof(int));
        std::memcpy(masks.back().data(), packed.data(), packed.size());
    }
    return fair_threads(masks, static_cast<std::size_t>(node.rank()));
}

int fair_threads(const std::vector<std::vector<int>>& masks, std::size_t index) {
    double share = 0;
    for (const int core : masks[index]) {
        const auto users = std::count_if(masks.begin(), masks.end(), [core](const auto& mask) {
            return std::binary_search(mask.begin(), mask.end(), core);
        });
        share += 1.0 / static_cast<double>(users);
    }
    // The small term keeps three thirds from being less than one.
    return std::max(1, static_cast<int>(share + 1e-6));
}

}  // namespace muster
