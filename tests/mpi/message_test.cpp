// Ordinary messages: order, wildcards, probing, any size, also to oneself.

#include <chrono>
#include <thread>
#include <vector>

#include "mpi_test.h"
#include "muster/base/error.h"
#include "pattern.h"
#include "pieces.h"

using muster::Communicator;

namespace {

/// Waits until something arrives; the tests' own timeout ends a message that never does.
Communicator::Message poll(const Communicator& comm, int from, int tag) {
    for (;;) {
        if (auto message = comm.try_receive(from, tag)) return std::move(*message);
        std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
}

void check_ring(const Communicator& comm, std::size_t length) {
    const int next = (comm.rank() + 1) % comm.size();
    const int previous = (comm.rank() + comm.size() - 1) % comm.size();
    const auto pending = comm.start_send(next, 3, pattern(comm.rank(), length));
    const auto message = comm.receive(previous, 3);
    CHECK(message.from == previous);
    CHECK(message.tag == 3);
    CHECK(message.bytes == pattern(previous, length));
    while (!pending->done()) std::this_thread::yield();
    CHECK(pending->done());
}

/// No message is left, and none of the next test has come yet.
void check_silence(const Communicator& comm) {
    comm.barrier();
    CHECK_FALSE(comm.try_receive().has_value());
    comm.barrier();
}

void check_to_oneself(const Communicator& comm) {
    // Larger than what MPI sends without a receiver.
    const std::size_t length = 1 << 20;
    comm.send(comm.rank(), 1, pattern(1, length));
    comm.send(comm.rank(), 2, pattern(2, 10));
    const auto pending = comm.start_send(comm.rank(), 1, "last");
    CHECK(comm.receive(comm.rank(), 2).bytes == pattern(2, 10));
    CHECK(comm.receive(Communicator::any_rank, 1).bytes == pattern(1, length));
    CHECK(comm.receive().bytes == "last");
    check_silence(comm);
}

}  // namespace

TEST_CASE("messages around a ring, of all sizes, whole and as derived types") {
    for (const std::size_t piece : {0u, 1u, 7u, 4096u}) {
        CAPTURE(piece);
        muster::set_piece_bytes(piece);
        for (const std::size_t length : {0u, 1u, 7u, 8u, 1000u, 100000u}) {
            check_ring(test_world(), length);
        }
    }
    muster::set_piece_bytes(0);
    check_ring(test_world(), 5 << 20);
}

TEST_CASE("messages to oneself") {
    check_to_oneself(test_world());
    const auto self = Communicator::self();
    check_to_oneself(self);
    CHECK_THROWS_AS(self.receive(), muster::InternalError);
}

TEST_CASE("messages to oneself that nobody wants hold up nothing") {
    const auto copy = test_world().duplicate();
    copy.send(copy.rank(), 9, pattern(0, 1 << 20));
}

TEST_CASE("order is kept between two ranks with one tag") {
    const auto& world = test_world();
    if (world.is_root()) {
        for (int i = 0; i < 50 * (world.size() - 1); ++i) {
            // Messages of one sender are numbered; any sender may come next.
            static std::vector<int> next(static_cast<std::size_t>(world.size()), 0);
            const auto message = poll(world, Communicator::any_rank, 4);
            CHECK(message.bytes == std::to_string(next[static_cast<std::size_t>(message.from)]++));
        }
    } else {
        std::vector<std::unique_ptr<muster::PendingSend>> pending;
        for (int i = 0; i < 50; ++i) pending.push_back(world.start_send(0, 4, std::to_string(i)));
    }
    check_silence(world);
}

TEST_CASE("tags and senders are told apart") {
    const auto& world = test_world();
    if (world.is_root()) {
        // In the reverse order of ranks and of tags.
        for (int r = world.size() - 1; r > 0; --r) {
            CHECK(world.receive(r, 2).bytes == "two");
            CHECK(poll(world, r, 1).bytes == "one");
        }
    } else {
        world.send(0, 1, "one");
        world.send(0, 2, "two");
    }
    check_silence(world);
}

TEST_CASE("messages of one communicator are not seen in another") {
    const auto& world = test_world();
    const auto other = world.duplicate();
    world.send(world.rank(), 1, "world");
    CHECK_FALSE(other.try_receive().has_value());
    CHECK(world.receive().bytes == "world");
}

TEST_CASE("requests and replies while both sides only poll") {
    const auto& world = test_world();
    if (world.is_root()) {
        for (int served = 0; served < 20 * (world.size() - 1); ++served) {
            const auto request = poll(world, Communicator::any_rank, 5);
            world.send(request.from, 6, request.bytes + "!");
        }
    } else {
        for (int i = 0; i < 20; ++i) {
            world.send(0, 5, std::to_string(i));
            CHECK(poll(world, 0, 6).bytes == std::to_string(i) + "!");
        }
    }
}
