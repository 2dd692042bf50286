// How NCCL is found, and what is said where it is not.

#include "cuda/nccl_library.h"

#include <doctest/doctest.h>

#include "cuda/group_copies.h"
#include "fake_driver/environment.h"
#include "muster/base/error.h"

using namespace muster;
using namespace muster::cuda;

namespace {

void has(const std::string& text, const std::string& part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
}

/// With the library in a folder below LIBRARIES; both ways in say the same.
std::string problem_with(const std::string& folder) {
    const std::string file = LIBRARIES "/" + folder + "/libnccl.so.2";
    const Environment environment{{"MUSTER_NCCL_LIBRARY", file.c_str()}};
    const std::string problem = why_no_nccl();
    CHECK_THROWS_WITH_AS(nccl_library(), problem.c_str(), UserError);
    return problem;
}

}  // namespace

TEST_SUITE_BEGIN("damaged_nccl");  // what LD_LIBRARY_PATH has

TEST_CASE("a library that is not there, or none: the loader's words, where it looked, what helps") {
    has(problem_with("nowhere"), "NCCL cannot be loaded: ");
    has(problem_with("nowhere"), "No such file");
    has(problem_with("nowhere"), "(MUSTER_NCCL_LIBRARY=" LIBRARIES "/nowhere/libnccl.so.2)");
    has(problem_with("nowhere"), "expected NCCL 2.18 or later");
    has(problem_with("nowhere"), "--device-transport staged");
    has(problem_with("damaged_nccl"), "damaged_nccl/libnccl.so.2");
    has(why_no_nccl(), "damaged_nccl/libnccl.so.2: ");
    has(why_no_nccl(), "(looked in LD_LIBRARY_PATH=" LIBRARIES "/damaged_nccl");
}

TEST_CASE("a library that is too old, or lacks a function") {
    has(problem_with("old_nccl"),
        "old_nccl/libnccl.so.2: NCCL 2.14.3 is too old; expected NCCL 2.18");
    has(problem_with("incomplete_nccl"), "NCCL has no function ncclGetErrorString");
}

TEST_CASE("a later call tries again, and what is loaded stays") {
    has(problem_with("old_nccl"), "too old");
    {
        const Environment environment{{"MUSTER_NCCL_LIBRARY", LIBRARIES "/nccl/libnccl.so.2"}};
        CHECK(why_no_nccl().empty());
    }
    CHECK(nccl_library().version == "2.28.9");
    CHECK(nccl_library().path == LIBRARIES "/nccl/libnccl.so.2");
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("nccl");

TEST_CASE("the loader's own") {
    CHECK(why_no_nccl().empty());
    CHECK(nccl_library().path == LIBRARIES "/nccl/libnccl.so.2");
    int version = 0;
    CHECK(nccl_library().get_version(&version) == ncclSuccess);
    CHECK(version == 22809);
    CHECK(std::string(nccl_library().get_error_string(ncclInvalidUsage)) == "invalid usage");
}

TEST_SUITE_END();
