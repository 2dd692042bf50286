#include "scheduler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "muster/base/error.h"

using namespace muster;

namespace {

using Slice = Scheduler::Slice;
using Slices = std::vector<Slice>;

void finish_all(Scheduler& scheduler, const Slices& slices) {
    for (const Slice& slice : slices) {
        if (scheduler.caught_up(slice.sequence)) scheduler.finish(slice.sequence);
    }
}

}  // namespace

TEST_CASE("long inputs are cut into chunks and short ones fill the rest of a step") {
    PagePool pool(16);
    Scheduler scheduler({{3, 3}, {10, 10}, {5, 5}}, 8, pool);
    Slices step = scheduler.next_step();
    CHECK(step == Slices{{1, 0, 8}});
    finish_all(scheduler, step);
    step = scheduler.next_step();
    CHECK(step == Slices{{1, 8, 2}, {2, 0, 5}, {0, 0, 1}});
    finish_all(scheduler, step);
    step = scheduler.next_step();
    CHECK(step == Slices{{0, 1, 2}});
    finish_all(scheduler, step);
    CHECK(scheduler.next_step().empty());
    CHECK(pool.num_free() == 16);
}

TEST_CASE("a sequence waits until all the pages it may need are free") {
    PagePool pool(3);
    Scheduler scheduler({{10, 130}, {70, 70}, {20, 20}}, 512, pool);  // 3, 2 and 1 pages
    Slices step = scheduler.next_step();
    CHECK(step == Slices{{0, 0, 10}});
    scheduler.extend(0);
    CHECK(scheduler.next_step() == Slices{{0, 10, 1}});
    scheduler.finish(0);
    step = scheduler.next_step();
    CHECK(step == Slices{{1, 0, 70}, {2, 0, 20}});
    CHECK(scheduler.pages(1, 64).size() == 1);
    CHECK(scheduler.pages(1, 65).size() == 2);
    CHECK_THROWS_AS(scheduler.pages(1, 129), InternalError);
    finish_all(scheduler, step);
    CHECK(scheduler.next_step().empty());
}

TEST_CASE("decode rows and new inputs share a step") {
    PagePool pool(8);
    Scheduler scheduler({{4, 6}, {4, 5}, {2, 2}}, 8, pool);
    CHECK(scheduler.next_step() == Slices{{0, 0, 4}, {1, 0, 4}});
    scheduler.extend(0);
    scheduler.extend(1);
    CHECK(scheduler.next_step() == Slices{{0, 4, 1}, {1, 4, 1}, {2, 0, 2}});
}

TEST_CASE("misuse is caught") {
    PagePool pool(2);
    CHECK_THROWS_AS(Scheduler({{0, 5}}, 8, pool), InternalError);
    CHECK_THROWS_AS(Scheduler({{6, 5}}, 8, pool), InternalError);
    CHECK_THROWS_AS(Scheduler({{1, 129}}, 8, pool), InternalError);
    Scheduler scheduler({{5, 6}, {1, 1}}, 5, pool);
    CHECK_THROWS_AS(scheduler.finish(0), InternalError);
    CHECK(scheduler.next_step() == Slices{{0, 0, 5}});
    scheduler.extend(0);
    CHECK_THROWS_AS(scheduler.extend(0), InternalError);
}

TEST_CASE("every row is computed once, in order, on pages of its own, for any step size") {
    // Lengths and generations from a fixed recurrence; a sequence grows until at_most, then
    // finishes.
    std::vector<Scheduler::Length> lengths;
    std::uint32_t state = 1;
    const auto next = [&](std::uint32_t end) {
        return (state = state * 1664525u + 1013904223u) >> 8 & 0xffff % end;
    };
    for (int i = 0; i < 200; ++i) {
        const std::int64_t input = 1 + next(150);
        lengths.push_back({input, input + (i % 3 ? 0 : next(40))});
    }
    for (const std::int64_t max_rows : {1, 7, 64, 5000}) {
        PagePool pool(9);
        Scheduler scheduler(lengths, max_rows, pool);
        std::vector<std::int64_t> known, computed(lengths.size(), 0);
        for (const auto& length : lengths) known.push_back(length.input);
        std::size_t finished = 0;
        for (;;) {
            const Slices step = scheduler.next_step();
            if (step.empty()) break;
            std::int64_t rows = 0;
            std::set<std::int32_t> pages;
            for (const Slice& slice : step) {
                const std::size_t s = slice.sequence;
                CHECK(slice.first_position == computed[s]);
                computed[s] += slice.num_rows;
                rows += slice.num_rows;
                for (const std::int32_t page : scheduler.pages(s, computed[s]))
                    CHECK(pages.insert(page).second);
            }
            CHECK(rows <= max_rows);
            for (const Slice& slice : step) {
                const std::size_t s = slice.sequence;
                CHECK(scheduler.caught_up(s) == (computed[s] == known[s]));
                if (!scheduler.caught_up(s)) continue;
                if (known[s] < lengths[s].at_most) {
                    scheduler.extend(s);
                    ++known[s];
                } else {
                    scheduler.finish(s);
                    ++finished;
                }
            }
        }
        CHECK(finished == lengths.size());
        for (std::size_t s = 0; s < lengths.size(); ++s) CHECK(computed[s] == lengths[s].at_most);
        CHECK(pool.num_free() == 9);
    }
}
