#include <doctest/doctest.h>

#include <thread>

#include "affinity.h"
#include "muster/mpi/host.h"

using muster::are_crowded;
using muster::pin_threads;
using muster::RankCores;
using Cpus = std::vector<std::vector<int>>;

namespace {
const std::vector<int> kEight{0, 1, 2, 3, 4, 5, 6, 7};
}

TEST_CASE("ranks that the launcher bound keep to their own cores") {
    CHECK(pin_threads({{{0, 1, 2}, 3}, {{4, 6}, 2}}) == Cpus{{0, 1, 2}, {4, 6}});
    CHECK(pin_threads({{{0, 1, 2}, 2}, {{4, 6}, 1}}) == Cpus{{0, 1}, {4}});
    // More threads than cores: those of this rank move, the other's stay.
    CHECK(pin_threads({{{0, 1, 2}, 4}, {{4, 6}, 2}}) == Cpus{{}, {4, 6}});
}

TEST_CASE("ranks that may use the same cores take slices if they fill them") {
    CHECK(pin_threads({{kEight, 8}}) == Cpus{kEight});
    CHECK(pin_threads({{kEight, 4}, {kEight, 4}}) == Cpus{{0, 1, 2, 3}, {4, 5, 6, 7}});
    CHECK(pin_threads({{kEight, 2}, {kEight, 2}, {kEight, 2}}) == Cpus{{0, 1}, {2, 3}, {4, 5}});
    // Cores are left for other jobs, which would choose the same ones.
    CHECK(pin_threads({{kEight, 7}}) == Cpus{{}});
    CHECK(pin_threads({{kEight, 3}, {kEight, 3}}) == Cpus{{}, {}});
    // Too many, or unequal.
    CHECK(pin_threads({{kEight, 5}, {kEight, 5}}) == Cpus{{}, {}});
    CHECK(pin_threads({{kEight, 4}, {kEight, 2}}) == Cpus{{}, {}});
    CHECK(pin_threads(std::vector<RankCores>(20, {kEight, 1})) == Cpus(20));
}

TEST_CASE("ranks whose cores overlap are not pinned") {
    CHECK(pin_threads({{{0, 1}, 1}, {{1, 2}, 1}}) == Cpus{{}, {}});
}

TEST_CASE("more threads than cores") {
    CHECK_FALSE(are_crowded({{kEight, 4}, {kEight, 4}}));
    CHECK(are_crowded({{kEight, 4}, {kEight, 5}}));
    CHECK_FALSE(are_crowded({{{0, 1}, 2}, {{2}, 1}}));
    CHECK(are_crowded({{{0, 1}, 2}, {{1}, 1}}));
}

TEST_CASE("a pinned thread's children can be set free") {
    const std::vector<int> before = muster::thread_cpus();
    std::vector<int> pinned, inherited, freed;
    std::thread([&] {
        muster::set_thread_cpus({before.front()});
        pinned = muster::thread_cpus();
        std::thread([&] {
            inherited = muster::thread_cpus();
            muster::unpin_thread();
            freed = muster::thread_cpus();
        }).join();
    }).join();
    CHECK(pinned == std::vector<int>{before.front()});
    CHECK(inherited == pinned);
    CHECK(freed == before);
    CHECK(muster::thread_cpus() == before);
    CHECK(muster::affinity_cores() == static_cast<int>(before.size()));
}
