#include "muster/text/python_random.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "muster/base/error.h"

// All expected values are printed by CPython 3.11.7's random.Random.

using muster::PythonRandom;
using Indices = std::vector<std::size_t>;

namespace {

/// A short fingerprint of a long sequence: s = (31 s + i) mod 2^31 - 1.
std::uint64_t fingerprint(std::uint64_t s, const Indices& indices) {
    for (const std::size_t i : indices) {
        s = (s * 31 + i) % 2147483647u;
    }
    return s;
}

}  // namespace

TEST_CASE("getrandbits and random() follow CPython") {
    PythonRandom bits(1234);
    CHECK(bits.getrandbits(32) == 4150886329u);
    CHECK(bits.getrandbits(32) == 3342196574u);
    CHECK(bits.getrandbits(32) == 1892932127u);
    CHECK(bits.getrandbits(32) == 501869158u);

    PythonRandom real(1234);
    CHECK(real.random() == 0x1.eed2ff71cd77dp-1);
    CHECK(real.random() == 0x1.c34f680ef4f52p-2);
    CHECK(real.random() == 0x1.eaf602e68d680p-8);

    PythonRandom zero(0);
    CHECK(zero.next_u32() == 3626764237u);
    CHECK(zero.next_u32() == 1654615998u);
}

TEST_CASE("seeds of one and two words") {
    CHECK(PythonRandom(0xffffffffu).random() == 0x1.454d9227a7013p-1);

    PythonRandom two(std::uint64_t{1} << 32);
    CHECK(two.random() == 0x1.ced31cb3df170p-4);
    CHECK(two.randbelow(std::uint64_t{1} << 40) == 47316264731u);
    CHECK(two.randbelow(16) == 10u);
    CHECK(two.randbelow(1) == 0u);
    CHECK(two.randbelow(12157665459056928801u) == 2547214373103166632u);  // 3^40

    PythonRandom large((std::uint64_t{1} << 63) + 5);
    CHECK(large.getrandbits(32) == 1478493593u);
    CHECK(large.getrandbits(32) == 736485321u);
    CHECK(large.getrandbits(32) == 1981690036u);
    CHECK(large.getrandbits(33) == 2678205636u);
    CHECK(large.getrandbits(64) == 3755678536603068179u);
    CHECK(large.getrandbits(40) == 301852663046u);
    CHECK(large.getrandbits(1) == 0u);
}

TEST_CASE("sample draws what random.sample draws") {
    PythonRandom gsm8k(1234);
    CHECK(gsm8k.sample(7473, 5) == Indices{6374, 3610, 957, 61, 742});
    CHECK(gsm8k.sample(7473, 5) == Indices{7462, 6610, 4769, 286, 5501});
    CHECK(PythonRandom(1234).sample(5, 5) == Indices{3, 0, 4, 2, 1});
    CHECK(PythonRandom(1234).sample(285, 6) == Indices{225, 59, 3, 46, 17, 42});  // by a set
    CHECK(PythonRandom(1234).sample(80, 6) == Indices{56, 14, 0, 11, 74, 4});     // by a pool
    CHECK(PythonRandom(1234).sample(3, 0).empty());

    // The 1,267 draws of a 5-shot winogrande run; the last one shows that none went astray.
    PythonRandom winogrande(1234);
    Indices last;
    for (int i = 0; i < 1267; ++i) last = winogrande.sample(1267, 6);
    CHECK(last == Indices{183, 477, 1075, 906, 64, 1057});
}

TEST_CASE("sample agrees on both sides of every pool-or-set border") {
    PythonRandom random(7);
    std::uint64_t s = 0;
    for (std::size_t n = 1; n < 200; ++n) {
        for (std::size_t k = 0; k <= std::min<std::size_t>(n, 40); k += 3) {
            s = fingerprint(s, random.sample(n, k));
        }
    }
    CHECK(s == 1192719450u);
    CHECK(random.getrandbits(32) == 859579290u);
}

TEST_CASE("choices and shuffle") {
    CHECK(PythonRandom(0).choices(1319, 6) == Indices{1113, 999, 554, 341, 674, 534});
    CHECK(PythonRandom(42).shuffled(10) == Indices{7, 3, 2, 8, 5, 6, 9, 4, 0, 1});
    CHECK(fingerprint(0, PythonRandom(9).shuffled(1000)) == 291412946u);
    CHECK(PythonRandom(1).shuffled(0).empty());
}

TEST_CASE("impossible draws are bugs of the caller") {
    PythonRandom random(1);
    CHECK_THROWS_AS(random.sample(3, 4), muster::InternalError);
    CHECK_THROWS_AS(random.choices(0, 1), muster::InternalError);
    CHECK_THROWS_AS(random.randbelow(0), muster::InternalError);
    CHECK_THROWS_AS(random.getrandbits(0), muster::InternalError);
    CHECK_THROWS_AS(random.getrandbits(65), muster::InternalError);
}
