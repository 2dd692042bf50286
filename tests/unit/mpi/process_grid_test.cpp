#include "muster/mpi/process_grid.h"

#include <doctest/doctest.h>

#include <string>

#include "muster/base/error.h"

using muster::ProcessGrid;
using muster::RankPlace;

namespace {

std::string refusal(const std::vector<int>& nodes, int tp, bool across) {
    try {
        const ProcessGrid grid(nodes, tp, across);
    } catch (const muster::UserError& error) {
        return error.what();
    }
    return "";
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("one rank") {
    const ProcessGrid grid({0}, 1, false);
    CHECK(grid.world_size() == 1);
    CHECK(grid.num_replicas() == 1);
    CHECK(grid.num_nodes() == 1);
    CHECK(grid.place(0) == RankPlace{0, 0, 0, 0, 0});
    CHECK(grid.leader_of(0) == 0);
}

TEST_CASE("two nodes, ranks by node") {
    const ProcessGrid grid({0, 0, 0, 0, 1, 1, 1, 1}, 2, false);
    CHECK(grid.num_replicas() == 4);
    CHECK(grid.num_nodes() == 2);
    CHECK(grid.place(3) == RankPlace{3, 0, 3, 1, 1});
    CHECK(grid.place(4) == RankPlace{4, 1, 0, 2, 0});
    CHECK(grid.leader_of(0) == 0);
    CHECK(grid.leader_of(3) == 6);
}

TEST_CASE("two nodes, ranks dealt in turn: groups stay on their node") {
    const ProcessGrid grid({0, 1, 0, 1, 0, 1, 0, 1}, 2, false);
    CHECK(grid.place(0) == RankPlace{0, 0, 0, 0, 0});
    CHECK(grid.place(2) == RankPlace{2, 0, 1, 0, 1});
    CHECK(grid.place(4) == RankPlace{4, 0, 2, 1, 0});
    CHECK(grid.place(1) == RankPlace{1, 1, 0, 2, 0});
    CHECK(grid.place(7) == RankPlace{7, 1, 3, 3, 1});
    CHECK(grid.leader_of(2) == 1);
}

TEST_CASE("nodes may have any numbers; they are counted by their lowest rank") {
    const ProcessGrid grid({9, 9, 4, 4, 7, 7}, 2, false);
    CHECK(grid.num_nodes() == 3);
    CHECK(grid.place(2).node == 1);
    CHECK(grid.place(5).node == 2);
    CHECK(grid.place(0).replica == 0);
}

TEST_CASE("nodes of different sizes") {
    const ProcessGrid grid({0, 0, 0, 0, 1, 1}, 2, false);
    CHECK(grid.num_replicas() == 3);
    CHECK(grid.leader_of(2) == 4);
    CHECK(refusal({0, 0, 0, 1, 1, 1}, 3, false).empty());
}

TEST_CASE("every rank has one place in every legal grid") {
    for (int tp : {1, 2, 3, 4, 6, 12}) {
        const ProcessGrid grid({0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}, tp, true);
        for (int replica = 0; replica < grid.num_replicas(); ++replica) {
            int members = 0;
            for (int rank = 0; rank < 12; ++rank) {
                members += grid.place(rank).replica == replica;
            }
            CHECK(members == tp);
            CHECK(grid.place(grid.leader_of(replica)).replica == replica);
        }
        CHECK(grid.leader_of(0) == 0);
    }
}

TEST_CASE("a group crosses nodes only when allowed") {
    CHECK(contains(refusal({0, 0, 0, 1, 1, 1}, 2, false),
                   "node 0 (with rank 0) has 3 ranks, expected a multiple of 2"));
    CHECK(contains(refusal({0, 0, 0, 1, 1, 1}, 2, false), "--tp-across-nodes"));
    const ProcessGrid grid({0, 0, 0, 1, 1, 1}, 2, true);
    CHECK(grid.place(2) == RankPlace{2, 0, 2, 1, 0});
    CHECK(grid.place(3) == RankPlace{3, 1, 0, 1, 1});
}

TEST_CASE("degrees that cannot work name got and expected") {
    CHECK(contains(refusal({0, 0, 0, 0, 0, 0}, 4, false),
                   "got 4 for a world of 6 ranks, expected one of 1, 2, 3, 6"));
    CHECK(contains(refusal({0}, 2, false), "got 2 for a world of 1 rank, expected one of 1"));
    CHECK(contains(refusal({0}, 0, false), "got 0, expected at least 1"));
    CHECK(contains(refusal({0}, -1, true), "got -1, expected at least 1"));
    CHECK_THROWS_AS(ProcessGrid({}, 1, false), muster::InternalError);
    CHECK_THROWS_AS(ProcessGrid({0}, 1, false).leader_of(1), muster::InternalError);
}
