// A device that stops working under a rank: every rank ends with one error within the deadline, and
// nothing afterwards waits for that device, since the emulated one ends a process that would wait
// for ever. Once per process, whose device is lost then.

#include <chrono>
#include <cstdlib>

#include "cuda/cuda_backend.h"
#include "cuda/wait.h"
#include "mpi_test.h"
#include "muster/base/error.h"
#include "unit/error_message.h"
#include "unit/model/model_test.h"
#include "unit/model/random_checkpoint.h"

using namespace muster;
using muster::test::error_message;

namespace {

constexpr double kDeadline = 6, kSoon = 60;  // seconds

DeviceTransport transport() {
    const char* set = std::getenv("MUSTER_TEST_TRANSPORT");
    return set && std::string(set) == "nccl" ? DeviceTransport::nccl : DeviceTransport::staged;
}

std::unique_ptr<Backend> make(const Communicator& group) {
    setenv("NCCL_HOSTID", std::to_string(test_world().rank()).c_str(), 1);
    CudaOptions options;
    options.memory_bytes = std::uint64_t{64} << 20;
    options.transport = transport();
    options.deadline_seconds = kDeadline;
    return cuda::make_backend(options, group);
}

bool has(const std::string& text, const std::string& part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
    return true;
}

}  // namespace

TEST_CASE("a device that hangs is one error per rank, and is left alone afterwards") {
    const Communicator& world = test_world();
    const int last = world.size() - 1;
    RandomCheckpoint checkpoint;
    checkpoint.head_dim = 8;
    checkpoint.write();
    std::string message;
    const auto start = std::chrono::steady_clock::now();
    {
        TestModel model(checkpoint.directory, "", make, world.duplicate());
        const std::vector<std::vector<std::int32_t>> sequences = {{1, 2, 3}, {4, 5}};
        CHECK(model.logits(sequences).size() == 5 * 301);
        if (world.rank() == last) emulator::hold_streams(true);
        message = error_message<SystemError>([&] { (void)model.logits(sequences); });
        // A peer that is late is no reason to give up one's own device, but NCCL's kernels run
        // there.
        CHECK(cuda::device_is_lost() ==
              (world.rank() == last || transport() == DeviceTransport::nccl));
        // Whoever tries it again is told again, and as soon.
        if (world.rank() == last) CHECK_THROWS_AS(model.backend->synchronize(), SystemError);
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    CHECK(taken.count() < kSoon);
    if (transport() == DeviceTransport::nccl && world.size() > 1 &&
        message.find(": remote process exited") != std::string::npos) {
        // All of them wait; who gives up first tells the others.
    } else if (transport() == DeviceTransport::nccl || world.rank() == last) {
        has(message, " did not end within 6.0 s; ");
        has(message, "device 0 (PCI 0000:01:00.0) hangs");
        has(message, "--device-timeout");
        if (world.size() > 1) has(message, "rank " + std::to_string(world.rank()) + " of ");
    } else {
        has(message, "waited 6.0 s for rank " + std::to_string(last) + " of it");
    }
    world.barrier();
}
