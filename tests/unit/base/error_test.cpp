#include "muster/base/error.h"

#include <doctest/doctest.h>

using namespace muster;

TEST_CASE("each kind of error has its exit code and keeps its message") {
    CHECK(UserError("a").exit_code() == 2);
    CHECK(SystemError("b").exit_code() == 3);
    CHECK(InternalError("c").exit_code() == 70);
    CHECK(std::string(UserError("file: key: wrong").what()) == "file: key: wrong");
    CHECK_THROWS_AS(throw UserError("x"), Error);
}
