#include "muster/mpi/agree.h"

#include <new>
#include <stdexcept>
#include <system_error>

#include "mpi_test.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/mpi/host.h"

using muster::agree;

namespace {

/// "[rank R on HOST] " where an error of a world of several ranks has it. Collective.
std::string prefix(int rank) {
    const auto hosts = test_world().all_gather(muster::host_name());
    if (test_world().size() == 1) return "";
    return muster::cat("[rank ", rank, " on ", hosts[static_cast<std::size_t>(rank)], "] ");
}

/// What every rank sees when the ranks from `first` on throw `make(rank)`.
template <typename Expected, typename Make>
void check_agreed(int first, const std::string& message, int exit_code, Make make) {
    const auto& world = test_world();
    bool thrown = false;
    try {
        agree(world, "the step", [&] {
            if (world.rank() >= first) throw make(world.rank());
        });
    } catch (const Expected& error) {
        thrown = true;
        CHECK(std::string(error.what()) == prefix(first) + message);
        CHECK(error.exit_code() == exit_code);
        CHECK(error.agreed());
    }
    CHECK(thrown);
    // The ranks are in step again.
    CHECK(world.sum(1) == world.size());
}

class Strange : public muster::Error {
 public:
    Strange() : muster::Error("strange", 42) {}
};

}  // namespace

TEST_CASE("a step that works everywhere") {
    int steps = 0;
    agree(test_world(), "counting", [&] { ++steps; });
    CHECK(steps == 1);
}

TEST_CASE("the lowest failing rank speaks for all, with its type") {
    for (int first = 0; first < test_world().size(); ++first) {
        const auto message = muster::cat("failed at ", first);
        const auto text = [](int rank) { return muster::cat("failed at ", rank); };
        check_agreed<muster::UserError>(first, message, 2,
                                        [&](int r) { return muster::UserError(text(r)); });
        check_agreed<muster::SystemError>(first, message, 3,
                                          [&](int r) { return muster::SystemError(text(r)); });
        check_agreed<muster::InternalError>(first, message, 70,
                                            [&](int r) { return muster::InternalError(text(r)); });
    }
}

TEST_CASE("errors that are not ours get the name of the step") {
    const int last = test_world().size() - 1;
    check_agreed<muster::Error>(last, "strange", 42, [](int) { return Strange(); });
    check_agreed<muster::SystemError>(last, "the step: out of memory", 3,
                                      [](int) { return std::bad_alloc(); });
    check_agreed<muster::SystemError>(last, "the step: No space left on device", 3, [](int) {
        return std::system_error(ENOSPC, std::generic_category());
    });
    check_agreed<muster::InternalError>(last, "the step: oops", 70,
                                        [](int) { return std::runtime_error("oops"); });
    check_agreed<muster::InternalError>(last, "the step: unknown exception", 70,
                                        [](int) { return 7; });
}

TEST_CASE("messages of several lines and any bytes arrive whole") {
    const std::string message("a: 1\n  b: \xc3\xbc\nc 2 3\n\0z", 20);
    check_agreed<muster::UserError>(0, message.c_str(), 2,
                                    [&](int) { return muster::UserError(message); });
    check_agreed<muster::UserError>(0, std::string(100000, 'x'), 2, [&](int) {
        return muster::UserError(std::string(100000, 'x'));
    });
}

TEST_CASE("an error of a part of the world is not marked as the world's") {
    const auto& world = test_world();
    const auto part = world.split(world.rank() == 0 ? 0 : 1, 0);
    REQUIRE(part.has_value());
    bool thrown = false;
    try {
        agree(*part, "part", [&] {
            if (world.rank() == 0) throw muster::UserError("only here");
        });
    } catch (const muster::UserError& error) {
        thrown = true;
        CHECK(std::string(error.what()) == "only here");
        CHECK(error.agreed() == (world.size() == 1));
    }
    CHECK(thrown == (world.rank() == 0));
    world.barrier();
}
