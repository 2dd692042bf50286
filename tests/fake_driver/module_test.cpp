// The loader of libmuster_cuda.so: each thing that can be missing has its message.

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "environment.h"
#include "muster/backend/cuda.h"
#include "muster/base/build_info.h"
#include "muster/base/error.h"
#include "muster/mpi/communicator.h"

using namespace muster;

namespace {

/// That of a module folder below MODULES, with every way in failing alike.
std::string problem_with(const std::string& folder) {
    const std::string path = MODULES "/" + folder;
    const Environment environment{{"MUSTER_MODULE_DIR", path.c_str()}};
    const std::string problem = cuda_problem();
    const Communicator self = Communicator::self();
    CHECK_THROWS_WITH_AS(make_cuda_backend({}, self), problem.c_str(), UserError);
    CHECK_THROWS_WITH_AS(measure_cuda_ceilings(0, 1), problem.c_str(), UserError);
    return problem;
}

std::string program() {
    return std::filesystem::read_symlink("/proc/self/exe").string();
}

bool has(const std::string& text, const std::string& part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE_BEGIN("modules");

TEST_CASE("no module: where it was looked for and how to get one") {
    has(problem_with("nowhere"), "libmuster_cuda.so: not in " MODULES "/nowhere; expected");
    has(problem_with("nowhere"), "-DMUSTER_WITH_CUDA=ON");
}

TEST_CASE("a file that is no library") {
    has(problem_with("damaged"), "damaged/libmuster_cuda.so");
    has(problem_with("damaged"), "cannot be loaded");
}

TEST_CASE("a library without the module's function") {
    has(problem_with("no_entry"), "no function muster_cuda_module");
}

TEST_CASE("a module of another build") {
    const std::string problem = problem_with("wrong_build");
    has(problem, "0.0.1 cafe GNU 4.7");
    has(problem, build_id());
}

TEST_CASE("a module of this build is called, and stays loaded") {
    // In a process of its own, since a loaded module is kept.
    REQUIRE(std::system(("MUSTER_MODULE_DIR=" MODULES "/for_plans " + program() +
                         " --test-suite=loaded > /dev/null")
                            .c_str()) == 0);
}

TEST_CASE("a driver older than the module") {
    const Environment environment{{"MUSTER_FAKE_CUDA", "12040"}};
    const std::string problem = problem_with("wrong_build");
    has(problem, "CUDA up to 12.4");
    has(problem, "13.0");
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("loaded");

TEST_CASE("the module's own functions answer") {
    CHECK(cuda_problem().empty());
    CudaOptions options;
    options.ordinal = 3;
    options.memory_bytes = 77;
    options.transport = DeviceTransport::staged;
    const Communicator self = Communicator::self();
    CHECK_THROWS_WITH_AS(make_cuda_backend(options, self),
                         "no backend in this module: ordinal 3, 77 bytes, staged", SystemError);
    CHECK_THROWS_WITH_AS(measure_cuda_ceilings(0, 1), "no ceilings in this module", SystemError);
    const Environment elsewhere{{"MUSTER_MODULE_DIR", MODULES "/nowhere"}};
    CHECK(cuda_problem().empty());
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("none");

TEST_CASE("without a driver, the module is not even looked for") {
    const std::string problem = problem_with("wrong_build");
    has(problem, "no NVIDIA driver on this node");
    has(problem, "--device cpu");
}

TEST_SUITE_END();
