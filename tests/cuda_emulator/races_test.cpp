// The rules of races.h, on kernels that break them one by one.

#include <doctest/doctest.h>

#include "child_process.h"
#include "faulty_kernels.h"

using namespace muster::test;

TEST_CASE("each mistake ends the process and is named; without it the same kernel is let through") {
    for (const Fault& fault : faults()) {
        INFO(std::string(fault.what));
        const End wrong = end_of([&] { fault.run(false); });
        INFO(wrong.said);
        CHECK(wrong.signal == SIGABRT);
        CHECK(says(wrong, fault.said));
        const End right = end_of([&] { fault.run(true); });
        CHECK(right.signal == 0);
        CHECK(right.said == "");
    }
}

TEST_CASE("a finding names the kernel, the block, both threads and the place") {
    const End end = end_of([] { faults()[0].run(false); });
    CHECK(end.said ==
          "CUDA emulator: block (0, 0, 0), thread (31, 0, 0): test::neighbours: thread 31 (lane 31 "
          "of warp 0), after 1 barrier of its block, writes shared memory, byte 124 of 2048, which "
          "thread 63 (lane 31 of warp 1) has read: a race, since no __syncthreads is between "
          "them\n");
}
