// Every collective, on the world and on a world of one, whole and cut into small pieces.

#include <vector>

#include "mpi_test.h"
#include "muster/base/error.h"
#include "muster/mpi/session.h"
#include "pattern.h"
#include "pieces.h"

using muster::Communicator;

namespace {

std::span<const std::byte> bytes_of(const std::string& s) {
    return std::as_bytes(std::span(s));
}
std::span<std::byte> writable(std::string& s) {
    return std::as_writable_bytes(std::span(s));
}

/// Lengths that are equal, uneven, zero for some ranks, and around multiples of the small piece.
std::size_t uneven_length(int rank, int shape) {
    switch (shape) {
        case 0:
            return 0;
        case 1:
            return 16;
        case 2:
            return static_cast<std::size_t>(rank) * 23;
        case 3:
            return rank == 0 ? 1000 : 1;
        default:
            return rank % 2 == 0 ? 0 : 7;
    }
}

void check_broadcast(const Communicator& comm) {
    for (int root = 0; root < comm.size(); ++root) {
        for (const std::size_t length : {0u, 1u, 7u, 8u, 1000u}) {
            std::string bytes = comm.rank() == root ? pattern(root, length) : "something else";
            comm.broadcast(bytes, root);
            CHECK(bytes == pattern(root, length));
            std::string fixed =
                comm.rank() == root ? pattern(root, length) : std::string(length, '?');
            comm.broadcast(writable(fixed), root);
            CHECK(fixed == pattern(root, length));
        }
    }
}

void check_gathers(const Communicator& comm) {
    for (int shape = 0; shape < 5; ++shape) {
        std::vector<std::string> expected;
        for (int r = 0; r < comm.size(); ++r) {
            expected.push_back(pattern(r, uneven_length(r, shape)));
        }
        const std::string mine = expected[static_cast<std::size_t>(comm.rank())];
        CHECK(comm.all_gather(mine) == expected);
        for (int root = 0; root < comm.size(); ++root) {
            const auto got = comm.gather(mine, root);
            CHECK(got == (comm.rank() == root ? expected : std::vector<std::string>()));
        }
    }
}

void check_blocks(const Communicator& comm) {
    const auto size = static_cast<std::size_t>(comm.size());
    const auto rank = static_cast<std::size_t>(comm.rank());
    for (const std::size_t block : {0u, 1u, 5u, 8u, 333u}) {
        std::string expected, sent, received;
        for (std::size_t r = 0; r < size; ++r) {
            expected += pattern(static_cast<int>(r), block);
            // Block j of rank i is pattern number 10 i + j.
            sent += pattern(static_cast<int>(10 * rank + r), block);
            received += pattern(static_cast<int>(10 * r + rank), block);
        }
        std::string out(size * block, '?');
        comm.all_gather(bytes_of(pattern(comm.rank(), block)), writable(out));
        CHECK(out == expected);

        std::string in_place(size * block, '?');
        in_place.replace(rank * block, block, pattern(comm.rank(), block));
        comm.all_gather(writable(in_place).subspan(rank * block, block), writable(in_place));
        CHECK(in_place == expected);

        out.assign(size * block, '?');
        comm.all_to_all(bytes_of(sent), writable(out));
        CHECK(out == received);
    }
}

void check_reductions(const Communicator& comm) {
    const std::int64_t large = std::int64_t{1} << 40;
    const std::int64_t n = comm.size();
    CHECK(comm.max(large * comm.rank()) == large * (n - 1));
    CHECK(comm.min(-large * comm.rank()) == -large * (n - 1));
    CHECK(comm.sum(large + comm.rank()) == large * n + n * (n - 1) / 2);
}

void check_all(const Communicator& comm) {
    comm.barrier();
    check_broadcast(comm);
    check_gathers(comm);
    check_blocks(comm);
    check_reductions(comm);
}

/// Runs the checks whole and in pieces of several sizes.
void check_in_pieces(const Communicator& comm) {
    for (const std::size_t piece : {0u, 1u, 7u, 8u, 64u}) {
        CAPTURE(piece);
        muster::set_piece_bytes(piece);
        check_all(comm);
    }
    muster::set_piece_bytes(0);
}

}  // namespace

TEST_CASE("the world") {
    CHECK(muster::MpiSession::active());
    CHECK(test_world().rank() >= 0);
    CHECK(test_world().rank() < test_world().size());
    CHECK(test_world().is_root() == (test_world().rank() == 0));
    check_in_pieces(test_world());
}

TEST_CASE("a world of one") {
    const auto self = Communicator::self();
    CHECK(self.rank() == 0);
    CHECK(self.size() == 1);
    check_in_pieces(self);
    CHECK(self.split_by_node().size() == 1);
    CHECK(self.duplicate().size() == 1);
    CHECK_FALSE(self.split(-1, 0).has_value());
    CHECK(self.split(3, 0)->size() == 1);
}

TEST_CASE("split by color, ordered by key") {
    const auto& world = test_world();
    const auto part = world.split(world.rank() % 2, -world.rank());
    REQUIRE(part.has_value());
    const int odd = world.rank() % 2;
    const int expected_size = (world.size() + 1 - odd) / 2;
    CHECK(part->size() == expected_size);
    CHECK(part->rank() == expected_size - 1 - world.rank() / 2);
    check_in_pieces(*part);
}

TEST_CASE("split leaves out ranks with a negative color") {
    const auto& world = test_world();
    const auto part = world.split(world.rank() == 0 ? -1 : 5, world.rank());
    CHECK(part.has_value() == (world.rank() != 0));
    if (part) {
        CHECK(part->size() == world.size() - 1);
        CHECK(part->rank() == world.rank() - 1);
        check_all(*part);
    }
}

TEST_CASE("split by node and duplicate") {
    const auto node = test_world().split_by_node();
    CHECK(node.size() <= test_world().size());
    check_all(node);
    check_all(test_world().duplicate());
}

TEST_CASE("a communicator can be moved") {
    auto copy = test_world().duplicate();
    Communicator moved = std::move(copy);
    check_reductions(moved);
    moved = test_world().duplicate();
    check_reductions(moved);
}

TEST_CASE("arguments that cannot work are refused on this rank") {
    const auto& world = test_world();
    std::string text = "x", room = "xyz";
    CHECK_THROWS_AS(world.broadcast(text, world.size()), muster::InternalError);
    CHECK_THROWS_AS(world.gather(text, -1), muster::InternalError);
    CHECK_THROWS_AS(world.send(world.size(), 0, text), muster::InternalError);
    CHECK_THROWS_AS(world.send(0, -1, text), muster::InternalError);
    CHECK_THROWS_AS(world.receive(world.size(), 0), muster::InternalError);
    CHECK_THROWS_AS(world.try_receive(0, 1 << 20), muster::InternalError);
    CHECK_THROWS_AS(world.all_gather(bytes_of(text), writable(room).first(0)),
                    muster::InternalError);
    CHECK_THROWS_AS(world.all_to_all(bytes_of(text), writable(room)), muster::InternalError);
}
