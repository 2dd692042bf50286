// The byte form of checksums is part of the file format: these values were computed with Python's
// hashlib and struct from the description in docs/result-file.md.

#include "checksum.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace muster;

TEST_CASE("checksums of known columns") {
    CHECK(checksum(Column{"x", "d", std::vector<std::int64_t>{1, -1}, 0}) ==
          "c233b47111228d87c91ef56fa641fd6bb4c3197a108d70ccef055b497a6076fe");
    CHECK(checksum(Column{"x", "d", std::vector<double>{0.5, std::nan("")}, 2}) ==
          "432db3f928291c42f1f7410c13108d1523834e51f0a727d96b8ce5bbe1175b56");
    CHECK(checksum(Column{"x", "d", std::vector<std::uint8_t>{0, 255}, 0}) ==
          "ad1f921de3b676495e02c180abfa9ef2c1cdef3fbcd9c9d8238199f23662d447");
    CHECK(checksum(Column{"x", "d", std::vector<std::string>{"a", "", "\xc3\xbc"}, 3}) ==
          "c6d9866b822996323f5100b54431ec06bec1096e2dba7f71b648b5e29ae31ac7");
    CHECK(checksum({{"t", "m", "f", 1.5, std::nan(""), 3, true, false}}) ==
          "e5266bb370dceb14492de237d80c5459b52ed57c32425a52deb19b620a23eb48");
}

TEST_CASE("any NaN counts as one, and the shape counts") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK(checksum(Column{"x", "", std::vector<double>{nan}, 0}) ==
          checksum(Column{"x", "", std::vector<double>{-nan}, 0}));
    CHECK(checksum(Column{"x", "", std::vector<double>{1, 2}, 0}) !=
          checksum(Column{"x", "", std::vector<double>{1, 2}, 1}));
    CHECK(checksum(Column{"x", "", std::vector<std::string>{"ab", ""}, 0}) !=
          checksum(Column{"x", "", std::vector<std::string>{"a", "b"}, 0}));
}
