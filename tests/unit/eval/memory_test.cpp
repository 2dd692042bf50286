#include <doctest/doctest.h>

#include "muster/eval/setup.h"

using namespace muster;

namespace {

MemoryPlan plan() {
    MemoryPlan plan;
    plan.weights = 1010;
    plan.matrices = 1000;
    plan.kv_cache = 200;
    plan.workspace = 30;
    plan.table = 500;
    plan.process = 7;
    return plan;
}

}  // namespace

TEST_CASE("what a node needs: shared weights once per copy, the rest per rank") {
    CHECK(plan().total() == 1240);
    CHECK(plan().resident() == 1747);
    CHECK(node_bytes(plan(), {1, 1}) == 1247);
    CHECK(node_bytes(plan(), {4, 1}) == 1000 + 4 * 247);
    CHECK(node_bytes(plan(), {4, 2}) == 2000 + 4 * 247);
}

TEST_CASE("the program's own memory is measured") {
    const std::uint64_t before = program_bytes();
    CHECK(before > std::uint64_t{12} << 20);
    const std::vector<char> more(std::size_t{64} << 20, 1);
    CHECK(more[12345] == 1);
    CHECK(program_bytes() > before + (std::uint64_t{60} << 20));
}

TEST_CASE("too little memory is refused by name") {
    CHECK(memory_problem(plan(), {4, 2}, 2988).empty());
    const std::string problem = memory_problem(plan(), {4, 2}, 2987);
    for (const char* part : {"not enough memory", "4 rank(s)", "2 copies of the weights", "--tp"})
        CHECK(problem.find(part) != std::string::npos);
}
