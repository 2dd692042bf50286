// The plan of a real task and tokenizer: tokens, and what they are expected to cost.

#include "muster/eval/work_plan.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "muster/engine/engine.h"

namespace muster {
namespace {

const std::string kQuickstart = MUSTER_SOURCE_DIR "/configs/quickstart";

RunConfig quickstart_run(const std::string& task) {
    RunConfig run;
    run.model_path = kQuickstart + "/model";
    run.tasks = {{task, {}}};
    run.task_paths = {kQuickstart + "/tasks"};
    run.data_dir = kQuickstart + "/data";
    run.limit = 6;
    return run;
}

WorkPlan plan_of(const RunConfig& run, RopeType rope = RopeType::standard) {
    ModelFiles files = load_model_files(run);
    files.config.rope.type = rope;
    return make_work_plan(select_tasks(run), run, files, 2);
}

/// Input tokens that two requests begin with.
std::size_t common(const Request& a, const Request& b) {
    const std::size_t size = std::min(a.tokens.size(), b.tokens.size()) - 1;
    std::size_t n = 0;
    while (n < size && a.tokens[n] == b.tokens[n]) ++n;
    return n;
}

TEST_CASE("a request costs what the one before does not begin with") {
    RunConfig run = quickstart_run("quickstart_creatures");
    const WorkPlan plan = plan_of(run);
    REQUIRE(plan.requests.size() > 12);
    for (std::size_t i = 0; i < plan.requests.size(); ++i) {
        const std::size_t shared = i == 0 ? 0 : common(plan.requests[i], plan.requests[i - 1]);
        CHECK(plan.costs[i] == plan.requests[i].tokens.size() - 1 - shared);
    }
    run.prefix_reuse = false;
    CHECK(plan_of(run).total_cost() == plan.tasks[0].asked_tokens);
    CHECK(plan.total_cost() < plan.tasks[0].asked_tokens);
}

TEST_CASE("with dynamic rope only requests of equal length share") {
    const WorkPlan plan = plan_of(quickstart_run("quickstart_creatures"), RopeType::dynamic);
    std::size_t shares = 0, alone = 0;
    for (std::size_t i = 0; i < plan.requests.size(); ++i) {
        const Request& request = plan.requests[i];
        std::size_t shared = 0;
        for (std::size_t j = 0; j < i; ++j)
            if (kv_tokens_needed(plan.requests[j]) == kv_tokens_needed(request))
                shared = common(request, plan.requests[j]);
        CHECK(plan.costs[i] == request.tokens.size() - 1 - shared);
        ++(shared > 0 ? shares : alone);
    }
    CHECK(shares > 0);
    CHECK(alone > 1);
}

}  // namespace
}  // namespace muster
