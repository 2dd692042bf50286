// What becomes of a group when NCCL fails on one of its ranks.

#include <chrono>
#include <cstdlib>

#include "cuda/check.h"
#include "cuda/group_copies.h"
#include "cuda/wait.h"
#include "mpi_test.h"
#include "muster/base/error.h"
#include "unit/error_message.h"

using namespace muster;
using namespace muster::cuda;
using muster::test::error_message;

namespace {

constexpr double kLong = 60, kShort = 0.5;  // seconds

/// How the emulated NCCL of one rank fails while this lives.
class Failure {
 public:
    Failure(int rank, const char* how) : mine_(test_world().rank() == rank) {
        if (mine_) setenv("EMULATED_NCCL", how, 1);
    }
    Failure(const Failure&) = delete;
    Failure& operator=(const Failure&) = delete;
    ~Failure() {
        if (mine_) unsetenv("EMULATED_NCCL");
    }

 private:
    bool mine_;
};

/// The ranks have one device. NCCL takes that from those only that say they are different nodes.
void say_where_this_rank_is(bool own_node) {
    setenv("NCCL_HOSTID", own_node ? std::to_string(test_world().rank()).c_str() : "", 1);
}

struct Outcome {
    std::string message;
    double seconds;
};
Outcome set_up(double deadline_seconds) {
    const auto start = std::chrono::steady_clock::now();
    std::string message =
        error_message<SystemError>([&] { (void)make_nccl_copies(test_world(), deadline_seconds); });
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    return {std::move(message), taken.count()};
}

bool contains(const std::string& text, const std::string& part) {
    if (text.find(part) != std::string::npos) return true;
    MESSAGE("expected \"", part, "\" in: ", text);
    return false;
}

}  // namespace

TEST_CASE("a library that one rank cannot load is an error on all, by its name") {
    say_where_this_rank_is(true);
    const std::string library = std::getenv("MUSTER_NCCL_LIBRARY");
    if (test_world().rank() == 1) setenv("MUSTER_NCCL_LIBRARY", "/nowhere/libnccl.so.2", 1);
    const std::string message =
        error_message<UserError>([&] { (void)make_nccl_copies(test_world(), kLong); });
    CHECK(contains(message, "[rank 1 on "));
    CHECK(contains(message, "MUSTER_NCCL_LIBRARY=/nowhere/libnccl.so.2"));
    setenv("MUSTER_NCCL_LIBRARY", library.c_str(), 1);
    CHECK(why_no_nccl().empty());
}

TEST_CASE("a rank whose set-up fails ends that of all, at once and by name") {
    const Failure failure(1, "init");
    const Outcome outcome = set_up(kLong);
    CHECK(contains(outcome.message, "NCCL: rank 1 of the tensor-parallel group on "));
    CHECK(contains(outcome.message, "unhandled system error: the emulated network is down"));
    CHECK(outcome.seconds < kLong / 2);
}

TEST_CASE("where NCCL runs out of memory, the error says who can leave it more") {
    const Failure failure(1, "memory");
    const Outcome outcome = set_up(kLong);
    CHECK(contains(outcome.message, "NCCL: rank 1 of the tensor-parallel group on "));
    CHECK(contains(outcome.message, "out of memory'; a smaller --gpu-memory-fraction leaves"));
}

TEST_CASE("a set-up that does not end is an error after the deadline") {
    const Failure failure(0, "absent");
    const Outcome outcome = set_up(kShort);
    CHECK(contains(outcome.message, "no connection to its peers within 0.5 s"));
    CHECK(outcome.seconds >= kShort / 2);
    CHECK(outcome.seconds < kLong / 2);
}

TEST_CASE("ranks that share a GPU are refused by NCCL, and told what else there is") {
    say_where_this_rank_is(false);
    const Outcome outcome = set_up(kLong);
    CHECK(contains(outcome.message, "NCCL: rank "));
    CHECK(contains(outcome.message, "invalid usage: Duplicate GPU detected"));
    CHECK(contains(outcome.message, "--device-transport staged"));
    CHECK(outcome.seconds < kLong / 2);
    say_where_this_rank_is(true);
}

TEST_CASE("a group can be made after one that failed, and ends in order") {
    for (int i = 0; i < 2; ++i) {
        const auto copies = make_nccl_copies(test_world(), kLong);
        copies->check();
        test_world().barrier();  // nobody has ended while another one checks
    }
    CHECK_FALSE(device_is_lost());
}

TEST_CASE("a peer that is lost while work is under way is found by whoever waits") {
    const Failure failure(test_world().size() - 1, "lost");
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
    unsigned char* data = nullptr;
    check(cudaMalloc(&data, 64), "cudaMalloc");
    {
        const auto copies = make_nccl_copies(test_world(), kLong);
        const std::string message = error_message<SystemError>([&] {
            copies->all_gather(data + 4 * test_world().rank(), data, 4, stream);
            for (Patience patience(kLong / 2); patience.pause();) copies->check();
        });
        if (test_world().rank() == test_world().size() - 1) {
            CHECK(contains(message, "remote process exited: the emulated peer is lost"));
            CHECK(contains(message, "rank " + std::to_string(test_world().rank()) + " of "));
        } else {
            CHECK(contains(message, "remote process exited: a peer has aborted"));
        }
        CHECK(device_is_lost());
    }
    test_world().barrier();
}
