#include "muster/mpi/host.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "affinity.h"

using muster::fair_threads;

TEST_CASE("this host") {
    CHECK_FALSE(muster::host_name().empty());
    const auto cores = muster::allowed_cores();
    CHECK_FALSE(cores.empty());
    CHECK(std::is_sorted(cores.begin(), cores.end()));
    CHECK(muster::affinity_cores() == static_cast<int>(cores.size()));
}

TEST_CASE("threads without knowledge of the others") {
    CHECK(muster::default_threads(1) == muster::affinity_cores());
    CHECK(muster::default_threads(100000) == 1);
    CHECK(muster::default_threads(muster::Communicator::self()) == muster::affinity_cores());
}

TEST_CASE("cores are shared among the ranks that may use them") {
    const std::vector<int> all{0, 1, 2, 3, 4, 5, 6, 7};
    CHECK(fair_threads({all}, 0) == 8);
    CHECK(fair_threads({all, all}, 1) == 4);
    CHECK(fair_threads({all, all, all}, 2) == 2);
    CHECK(fair_threads(std::vector<std::vector<int>>(20, all), 7) == 1);
}

TEST_CASE("bound ranks use their own cores") {
    CHECK(fair_threads({{0, 1, 2}, {3}}, 0) == 3);
    CHECK(fair_threads({{0, 1, 2}, {3}}, 1) == 1);
    // Rank 0 has core 0 alone and shares the others with rank 1.
    CHECK(fair_threads({{0, 1, 2}, {1, 2}}, 0) == 2);
    CHECK(fair_threads({{0, 1, 2}, {1, 2}}, 1) == 1);
    // Three thirds are one.
    CHECK(fair_threads({{0, 1, 2}, {0, 1, 2}, {0, 1, 2}}, 0) == 1);
}
