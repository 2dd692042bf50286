#include <doctest/doctest.h>

#include "muster/eval/work_plan.h"

namespace muster {
namespace {

/// `documents[i]` requests of 10 tokens for document i.
WorkPlan plan_of(const std::vector<int>& documents) {
    WorkPlan plan;
    for (std::uint32_t d = 0; d < documents.size(); ++d)
        for (int r = 0; r < documents[d]; ++r) {
            Request request;
            request.id = plan.requests.size();
            plan.requests.push_back(request);
            plan.origins.push_back({0, d, static_cast<std::uint32_t>(r), 0});
            plan.costs.push_back(10);
        }
    return plan;
}

std::vector<Chunk> drain(ChunkQueue& queue) {
    std::vector<Chunk> chunks;
    for (Chunk chunk = queue.next(); chunk.begin != chunk.end; chunk = queue.next())
        chunks.push_back(chunk);
    return chunks;
}

TEST_CASE("chunks cover every request once, in order, and end at documents") {
    const WorkPlan plan = plan_of({4, 4, 1, 7, 4, 4, 2, 4, 4, 4, 4, 4});
    ChunkQueue queue(plan, 3, 20);
    std::size_t next = 0;
    for (const Chunk& chunk : drain(queue)) {
        CHECK(chunk.begin == next);
        next = chunk.end;
        CHECK(chunk.cost == 10 * (chunk.end - chunk.begin));
        if (chunk.end < plan.requests.size())
            CHECK(plan.origins[chunk.end].sample != plan.origins[chunk.end - 1].sample);
    }
    CHECK(next == plan.requests.size());
    CHECK(queue.next().begin == queue.next().end);
}

TEST_CASE("chunks shrink towards the end but not below the least cost") {
    const WorkPlan plan = plan_of(std::vector<int>(1000, 1));
    ChunkQueue queue(plan, 4, 50);
    const std::vector<Chunk> chunks = drain(queue);
    CHECK(chunks.front().cost >= plan.total_cost() / 16);
    for (std::size_t i = 1; i < chunks.size(); ++i) CHECK(chunks[i].cost <= chunks[i - 1].cost);
    CHECK(chunks[chunks.size() - 2].cost == 50);
}

TEST_CASE("an empty plan has no chunk") {
    const WorkPlan plan = plan_of({});
    ChunkQueue queue(plan, 2, 50);
    CHECK(drain(queue).empty());
}

}  // namespace
}  // namespace muster
