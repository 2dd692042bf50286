// One message beyond 2 GiB with the real piece size. Needs about 5 GiB of memory. The gathers are tested with
// small pieces (communicator_test.cpp), since touching this much memory takes seconds.

#include <unistd.h>

#include "mpi_test.h"

namespace {

std::int64_t free_memory() {
    return static_cast<std::int64_t>(sysconf(_SC_AVPHYS_PAGES)) * sysconf(_SC_PAGESIZE);
}

}  // namespace

TEST_CASE("a message of more than 2 GiB") {
    const auto& world = test_world();
    if (world.min(free_memory()) < (std::int64_t{6} << 30)) {
        MESSAGE("did not run: needs 6 GiB of free memory");
        return;
    }
    const std::size_t length = (std::size_t{1} << 31) + 4097;
    if (world.rank() == 1) {
        std::string bytes(length, 'x');
        bytes.front() = 'a';
        bytes[length / 2] = 'b';
        bytes.back() = 'c';
        world.send(0, 1, bytes);
    } else if (world.is_root()) {
        const auto bytes = world.receive(1, 1).bytes;
        CHECK(bytes.size() == length);
        CHECK(bytes.front() == 'a');
        CHECK(bytes[length / 3] == 'x');
        CHECK(bytes[length / 2] == 'b');
        CHECK(bytes.back() == 'c');
    }
}
