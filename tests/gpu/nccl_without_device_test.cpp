// NCCL itself, asked for a communicator where no device is visible.

#include <chrono>
#include <cstdlib>

#include "cuda/group_copies.h"
#include "mpi_test.h"
#include "muster/base/error.h"
#include "unit/error_message.h"

using namespace muster;

TEST_CASE("a group without devices is an error that NCCL words, long before the deadline") {
    setenv("CUDA_VISIBLE_DEVICES", "-1", 1);  // the same on machines that have some
    setenv("NCCL_SOCKET_IFNAME", "lo", 1);
    constexpr double kDeadline = 40;  // seconds
    const auto start = std::chrono::steady_clock::now();
    const std::string message = test::error_message<SystemError>(
        [&] { (void)cuda::make_nccl_copies(test_world(), kDeadline); });
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    CAPTURE(message);
    CHECK(message.find("NCCL: rank ") == 0);
    CHECK(message.find("ncclCommInitRankConfig: unhandled cuda error") != std::string::npos);
    CHECK(taken.count() < kDeadline / 2);
    if (test_world().is_root()) MESSAGE(message);
}
