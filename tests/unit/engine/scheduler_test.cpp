#include "scheduler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "muster/backend/backend.h"
#include "muster/base/error.h"
#include "numbers.h"

using namespace muster;
using namespace muster::test;

namespace {

using Slice = Scheduler::Slice;
using Slices = std::vector<Slice>;

Branch root(std::int64_t end) {
    return {.end = end, .at_most = end};
}

Branch child(std::int32_t parent, std::int64_t begin, std::int64_t end) {
    return {.parent = parent, .begin = begin, .known = begin, .end = end, .at_most = end};
}

Branch open_root(std::int64_t end, std::int64_t at_most) {
    return {.end = end, .at_most = at_most, .open = true};
}

/// A scheduler with a pool of its own.
struct Plan {
    Plan(const std::vector<Branch>& branches, std::int64_t max_step_rows, std::int32_t num_pages)
        : pool(num_pages), kept(pool), scheduler(branches, max_step_rows, pool, kept, -1) {}
    Slices next() { return scheduler.next_step().slices; }

    PagePool pool;
    KeptPages kept;
    Scheduler scheduler;
};

}  // namespace

TEST_CASE("long inputs are cut into chunks and short ones fill the rest of a step") {
    Plan plan({root(10), root(5), root(3)}, 8, 16);
    CHECK(plan.next() == Slices{{0, 0, 8}});
    CHECK(plan.next() == Slices{{0, 8, 2}, {1, 0, 5}, {2, 0, 1}});
    CHECK(plan.next() == Slices{{2, 1, 2}});
    CHECK(plan.next().empty());
    CHECK(plan.pool.num_free() == 16);
}

TEST_CASE("a branch waits until all the pages it may need are free") {
    Plan plan({open_root(10, 130), root(70), root(20)}, 512, 3);  // 3, 2 and 1 pages
    CHECK(plan.next() == Slices{{0, 0, 10}});
    plan.scheduler.extend(0);
    CHECK(plan.next() == Slices{{0, 10, 1}});
    plan.scheduler.finish(0);
    CHECK(plan.next() == Slices{{1, 0, 70}, {2, 0, 20}});
    CHECK(plan.scheduler.pages(1, 64).size() == 1);
    CHECK(plan.scheduler.pages(1, 65).size() == 2);
    CHECK_THROWS_AS(plan.scheduler.pages(1, 129), InternalError);
    CHECK(plan.next().empty());
}

TEST_CASE("decode rows and new inputs share a step") {
    Plan plan({open_root(4, 6), open_root(4, 5), root(2)}, 8, 8);
    CHECK(plan.next() == Slices{{0, 0, 4}, {1, 0, 4}});
    plan.scheduler.extend(0);
    plan.scheduler.extend(1);
    CHECK(plan.next() == Slices{{0, 4, 1}, {1, 4, 1}, {2, 0, 2}});
}

TEST_CASE("children start in a later step, on their parent's full pages and a copy of the last") {
    // Two generations behind one prompt, and another root to fill the step.
    std::vector<Branch> branches = {root(70), child(0, 70, 70), child(0, 70, 80), root(3)};
    branches[1].open = true;
    branches[1].at_most = 72;
    Plan plan(branches, 512, 8);
    CHECK(plan.next() == Slices{{0, 0, 70}, {3, 0, 3}});
    const std::vector<std::int32_t> prompt(plan.scheduler.pages(0, 70).begin(),
                                           plan.scheduler.pages(0, 70).end());
    plan.scheduler.extend(1);
    const auto step = plan.scheduler.next_step();
    CHECK(step.slices == Slices{{1, 70, 1}, {2, 70, 10}});
    REQUIRE(step.copies.size() == 2);
    for (const std::int32_t branch : {1, 2}) {
        const auto pages = plan.scheduler.pages(branch, 71);
        const PageCopy copy = step.copies[static_cast<std::size_t>(branch) - 1];
        CHECK(pages[0] == prompt[0]);
        CHECK(pages[1] != prompt[1]);
        CHECK(copy.from == prompt[1]);
        CHECK(copy.to == pages[1]);
    }
    CHECK(plan.pool.num_owners(prompt[0]) == 3);
    plan.scheduler.finish(1);
    CHECK(plan.next().empty());
    CHECK(plan.pool.num_free() == 8);
}

TEST_CASE("a generation may end before it starts") {
    std::vector<Branch> branches = {root(64), child(0, 64, 64), child(0, 64, 65)};
    branches[1].open = true;
    branches[1].at_most = 70;
    Plan plan(branches, 512, 8);
    CHECK(plan.next() == Slices{{0, 0, 64}});
    plan.scheduler.finish(1);
    CHECK_THROWS_AS(plan.scheduler.finish(1), InternalError);
    CHECK(plan.next() == Slices{{2, 64, 1}});
    CHECK(plan.next().empty());
    CHECK(plan.pool.num_free() == 8);
}

TEST_CASE("a second branch leaves room for the first one to be finished") {
    // Root 0 and its child need 1 + 2 pages, root 2 needs 2: of 4 pages, 2 must stay free.
    Plan plan({root(64), child(0, 64, 192), root(65), root(10)}, 512, 4);
    CHECK(plan.next() == Slices{{0, 0, 64}});
    CHECK(plan.next() == Slices{{1, 64, 128}});
    CHECK(plan.next() == Slices{{2, 0, 65}, {3, 0, 10}});
    CHECK(plan.next().empty());
}

TEST_CASE("misuse is caught") {
    CHECK_THROWS_AS(Plan({root(0)}, 8, 2), InternalError);
    CHECK_THROWS_AS(Plan({open_root(6, 5)}, 8, 2), InternalError);
    CHECK_THROWS_AS(Plan({root(129)}, 8, 2), InternalError);
    CHECK_THROWS_AS(Plan({root(60), child(0, 60, 120)}, 8, 2), InternalError);  // needs a copy
    CHECK_THROWS_AS(Plan({root(5), child(0, 6, 7)}, 8, 2), InternalError);
    Plan plan({open_root(5, 6), open_root(1, 2)}, 5, 2);
    CHECK_THROWS_AS(plan.scheduler.finish(0), InternalError);
    CHECK(plan.next() == Slices{{0, 0, 5}});
    plan.scheduler.extend(0);
    CHECK_THROWS_AS(plan.scheduler.extend(0), InternalError);
    CHECK_THROWS_AS(plan.scheduler.finish(1), InternalError);
}

TEST_CASE("what was kept is not computed again, wherever the border lies") {
    PagePool pool(8);
    KeptPages kept(pool);
    const auto pages = pool.take(3);
    kept.replace(pages, 150);
    Branch first = root(100), second = child(0, 100, 170), other = child(0, 100, 120);
    first.known = 100;
    second.known = 149;
    Scheduler scheduler(std::vector<Branch>{first, second, other}, 512, pool, kept, 1);
    const auto step = scheduler.next_step();
    CHECK(step.slices == Slices{{1, 149, 21}, {2, 100, 20}});
    // The first branch is all there, but for a page of its own; the second has the full pages and a
    // copy of the begun one.
    REQUIRE(step.copies.size() == 3);
    CHECK(step.copies[0].from == pages[1]);
    CHECK(step.copies[0].to == scheduler.pages(0, 100)[1]);
    CHECK(step.copies[1].from == pages[2]);
    CHECK(step.copies[1].to == scheduler.pages(1, 150)[2]);
    CHECK(step.copies[2].from == scheduler.pages(0, 100)[1]);
    CHECK(scheduler.pages(1, 128)[0] == pages[0]);
    CHECK(scheduler.pages(1, 128)[1] == pages[1]);
    CHECK(scheduler.next_step().slices.empty());
    // The last branch is kept instead.
    CHECK(kept.num_tokens() == 170);
    CHECK(kept.pages()[1] == pages[1]);
    CHECK(pool.num_free() == 5);
    CHECK(kept.num_idle() == 3);
}

TEST_CASE("kept pages make room for those who need them") {
    PagePool pool(3);
    KeptPages kept(pool);
    kept.replace(pool.take(2), 100);
    Branch branch = root(190);
    branch.known = 100;
    Scheduler scheduler(std::vector<Branch>{branch}, 512, pool, kept, -1);
    // The begun page has to go, so its tokens are computed again.
    CHECK(scheduler.next_step().slices == Slices{{0, 64, 126}});
    CHECK(kept.num_tokens() == 64);
    CHECK(scheduler.next_step().slices.empty());
    CHECK(pool.num_free() == 2);
}

namespace {

/// Random branches: runs of 1 to 150 positions, some of them open, some of those without tokens.
std::vector<Branch> random_forest(Numbers& numbers, int count) {
    std::vector<Branch> branches;
    std::vector<std::int32_t> path;  // depth first: the next branch hangs from one of these
    while (static_cast<int>(branches.size()) < count) {
        path.resize(
            static_cast<std::size_t>(numbers.below(static_cast<std::int32_t>(path.size()) + 1)));
        const std::int32_t parent = path.empty() ? -1 : path.back();
        const std::int64_t begin = parent < 0 ? 0 : branches[static_cast<std::size_t>(parent)].end;
        Branch branch = child(parent, begin, begin + 1 + numbers.below(150));
        const int kind = numbers.below(5);
        const bool empty = kind == 0 && parent >= 0;
        if (empty) branch.end = begin;
        branch.open = empty || kind == 1;
        branch.at_most = branch.end + (branch.open ? 1 + numbers.below(100) : 0);
        branches.push_back(branch);
        if (!branch.open) path.push_back(static_cast<std::int32_t>(branches.size()) - 1);
    }
    return branches;
}

/// Pages of the most expensive path, by the definition.
std::int64_t path_pages(const std::vector<Branch>& branches) {
    std::int64_t most = 0;
    std::vector<std::int64_t> pages;
    for (const Branch& branch : branches) {
        const std::int64_t before =
            branch.parent < 0 ? 0 : pages[static_cast<std::size_t>(branch.parent)];
        pages.push_back(before + (branch.at_most + 63) / 64 - branch.begin / 64);
        most = std::max(most, pages.back());
    }
    return most;
}

/// Who wrote each slot of each page, as the steps would have done it.
class Cache {
 public:
    Cache(const std::vector<Branch>& branches, std::int32_t num_pages)
        : branches_(branches), slots_(static_cast<std::size_t>(num_pages) * 64, Slot{-1, -1}) {}

    void copy(const PageCopy& copy) {
        std::copy_n(slots_.begin() + copy.from * 64, 64, slots_.begin() + copy.to * 64);
    }
    /// All positions before `end` hold what the path to `branch` computed.
    bool holds(std::int32_t branch, std::int64_t end, std::span<const std::int32_t> pages) const {
        for (std::int64_t position = end - 1; position >= 0; --position) {
            while (position < branches_[static_cast<std::size_t>(branch)].begin)
                branch = branches_[static_cast<std::size_t>(branch)].parent;
            if (slot(position, pages) != Slot{branch, position}) return false;
        }
        return true;
    }
    void write(std::int32_t branch, std::int64_t position, std::span<const std::int32_t> pages) {
        slots_[index(position, pages)] = {branch, position};
    }

 private:
    using Slot = std::pair<std::int32_t, std::int64_t>;
    static std::size_t index(std::int64_t position, std::span<const std::int32_t> pages) {
        const std::int32_t page = pages[static_cast<std::size_t>(position / 64)];
        return static_cast<std::size_t>(page * 64 + position % 64);
    }
    Slot slot(std::int64_t position, std::span<const std::int32_t> pages) const {
        return slots_[index(position, pages)];
    }

    const std::vector<Branch>& branches_;
    std::vector<Slot> slots_;
};

/// Runs a forest to its end, checking every step; returns the number of steps.
int check_run(const std::vector<Branch>& branches, std::int64_t max_rows, std::int32_t num_pages,
              Numbers& numbers) {
    PagePool pool(num_pages);
    KeptPages kept(pool);
    Scheduler scheduler(branches, max_rows, pool, kept, -1);
    Cache cache(branches, num_pages);
    std::vector<std::int64_t> computed, ends;
    for (const Branch& branch : branches) {
        computed.push_back(branch.begin);
        ends.push_back(branch.end);
    }
    std::vector<bool> finished(branches.size(), false);
    // An open branch that is computed goes on or ends, as a generation would.
    const auto go_on = [&](std::int32_t branch) {
        const auto b = static_cast<std::size_t>(branch);
        if (ends[b] < branches[b].at_most && numbers.below(20) > 0) {
            scheduler.extend(branch);
            ++ends[b];
        } else {
            scheduler.finish(branch);
            finished[b] = true;
        }
    };
    int steps = 0;
    for (auto step = scheduler.next_step(); !step.slices.empty(); step = scheduler.next_step()) {
        ++steps;
        std::int64_t rows = 0;
        for (const PageCopy& copy : step.copies) cache.copy(copy);
        std::map<std::int32_t, int> users;
        for (const Slice& slice : step.slices) {
            const auto b = static_cast<std::size_t>(slice.branch);
            REQUIRE(slice.first_position == computed[b]);
            computed[b] += slice.num_rows;
            REQUIRE(computed[b] <= ends[b]);
            rows += slice.num_rows;
            const auto pages = scheduler.pages(slice.branch, computed[b]);
            // Nothing that another slice of this step computes is read.
            REQUIRE(cache.holds(slice.branch, slice.first_position, pages));
            for (const std::int32_t page : pages) ++users[page];
        }
        REQUIRE(rows <= max_rows);
        for (const Slice& slice : step.slices) {
            const auto pages = scheduler.pages(slice.branch, slice.first_position + slice.num_rows);
            for (std::int32_t i = 0; i < slice.num_rows; ++i) {
                const std::int64_t position = slice.first_position + i;
                const std::int32_t page = pages[static_cast<std::size_t>(position / 64)];
                REQUIRE(users[page] == 1);
                REQUIRE(pool.num_owners(page) == 1);
                cache.write(slice.branch, position, pages);
            }
        }
        for (const Slice& slice : step.slices) {
            const auto b = static_cast<std::size_t>(slice.branch);
            if (computed[b] < ends[b]) continue;
            if (branches[b].open) {
                go_on(slice.branch);
                continue;
            }
            finished[b] = true;
            for (std::size_t c = b + 1; c < branches.size(); ++c) {
                const bool empty = branches[c].end == branches[c].begin;
                if (branches[c].parent == slice.branch && empty)
                    go_on(static_cast<std::int32_t>(c));
            }
        }
    }
    CHECK(std::count(finished.begin(), finished.end(), false) == 0);
    CHECK(computed == ends);
    CHECK(pool.num_free() == num_pages);
    return steps;
}

}  // namespace

TEST_CASE("every row is computed once and reads what its path computed, for any steps and pages") {
    Numbers numbers(5);
    for (int forest = 0; forest < 60; ++forest) {
        CAPTURE(forest);
        const auto branches = random_forest(numbers, 1 + numbers.below(80));
        const auto least = static_cast<std::int32_t>(path_pages(branches));
        for (const std::int64_t max_rows : {1, 7, 64, 5000}) {
            if (max_rows == 1 && forest % 10 != 0) continue;  // slow
            CAPTURE(max_rows);
            for (const std::int32_t more : {0, 1, 3, 9}) {
                check_run(branches, max_rows, least + more, numbers);
            }
            check_run(branches, max_rows, 10000, numbers);
        }
    }
}

TEST_CASE("with pages for all, steps are full") {
    // A prompt, then 100 children of 50 rows.
    std::vector<Branch> branches = {root(64)};
    for (int i = 0; i < 100; ++i) branches.push_back(child(0, 64, 114));
    Numbers numbers;
    CHECK(check_run(branches, 500, 101, numbers) == 11);
}
