#include "philox.h"

#include <doctest/doctest.h>

using namespace muster;

// The known answers of Random123 1.14, tests/kat_vectors, lines "philox4x32 10".
TEST_CASE("philox4x32-10 gives Random123's known answers") {
    CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) ==
          PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    CHECK(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
          PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
          PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("uniform draws are the top 53 bits of two words and look uniform") {
    CHECK(philox_uniform({0, 0, 0, 0}, {0, 0}) ==
          static_cast<double>((std::uint64_t{0x6627e8d5 >> 5} << 26) | (0xe169c58d >> 6)) *
              0x1p-53);
    CHECK(philox_uniforms({0, 0, 0, 0}, {0, 0})[0] == philox_uniform({0, 0, 0, 0}, {0, 0}));
    CHECK(philox_uniforms({0, 0, 0, 0}, {0, 0})[1] ==
          static_cast<double>((std::uint64_t{0xbc57ac4c >> 5} << 26) | (0x9b00dbd8 >> 6)) *
              0x1p-53);
    double sum = 0, squares = 0;
    constexpr int kDraws = 20000;
    for (std::uint32_t i = 0; i < kDraws; ++i) {
        const double u = philox_uniform({i, 0, 0, 0}, {1234, 0});
        CHECK_MESSAGE((u >= 0 && u < 1), u);
        sum += u;
        squares += u * u;
    }
    // Five standard deviations of the mean (0.0020) and of the mean square (0.0021).
    CHECK(sum / kDraws == doctest::Approx(0.5).epsilon(0.0205));
    CHECK(squares / kDraws == doctest::Approx(1.0 / 3).epsilon(0.032));
}
