#include "muster/base/portable_exp.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace muster;

TEST_CASE("portable_exp agrees with the library's") {
    for (double x = -745; x <= 0; x += 0.0371) {
        const double expected = std::exp(x);
        if (expected < 1e-300) {
            CHECK(std::abs(portable_exp(x) - expected) <= 1e-315);
        } else {
            CHECK(std::abs(portable_exp(x) / expected - 1) <= 4.5e-16);
        }
    }
    CHECK(portable_exp(0) == 1);
    CHECK(portable_exp(-std::numeric_limits<double>::infinity()) == 0);
    CHECK(portable_exp(-800) == 0);
}
