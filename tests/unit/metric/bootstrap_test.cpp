#include <doctest/doctest.h>

#include <stdexcept>

#include "aggregation.h"
#include "bootstrap.h"
#include "muster/text/python_random.h"
#include "random_indices.h"

using namespace muster;

TEST_CASE("indices in bulk are the draws of Python's choices") {
    std::vector<std::uint32_t> drawn(6);
    RandomIndices golden(0, 1319);
    golden.fill(drawn);
    // random.Random(0).choices(range(1319), k=6) (CPython 3.11)
    CHECK(drawn == std::vector<std::uint32_t>{1113, 999, 554, 341, 674, 534});

    for (std::uint32_t seed : {0u, 1u, 99u, 4000000000u}) {
        PythonRandom slow(seed);
        RandomIndices fast(seed, 5153);
        for (std::size_t length :
             {1u, 311u, 312u, 313u, 700u, 5153u}) {  // around and across the blocks of 312
            drawn.resize(length);
            fast.fill(drawn);
            const std::vector<std::size_t> expected = slow.choices(5153, length);
            CHECK(std::equal(drawn.begin(), drawn.end(), expected.begin(), expected.end()));
        }
    }
}

TEST_CASE("replicates come in chunks that are seeded by their number") {
    const std::vector<double> values = {-1.5, -2.25, -0.125, -7};
    const std::vector<double> means =
        bootstrap_means(values, 2999);  // the remainder is left out, as in lm-eval
    REQUIRE(means.size() == 2000);
    for (std::uint64_t chunk : {0u, 1u}) {
        PythonRandom random(chunk);
        for (std::size_t i = 0; i < 1000; ++i) {
            NeumaierSum sum;
            for (std::size_t index : random.choices(4, 4)) sum.add(values[index]);
            REQUIRE(means[chunk * 1000 + i] == sum.result() / 4);
        }
    }
    CHECK(bootstrap_means(values, 7).size() == 7);
    CHECK(bootstrap_means(values, 0).empty());
}

TEST_CASE("what a statistic throws reaches the caller") {
    CHECK_THROWS_AS(
        bootstrap(3, 5000,
                  [](std::span<const std::uint32_t>) -> double { throw std::runtime_error("x"); }),
        std::runtime_error);
}
