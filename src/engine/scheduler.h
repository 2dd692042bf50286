#pragma once
// Which rows make up the next step. Knows lengths and pages, not tokens or models. A branch is a
// run of positions that follows its parent's; it starts in a later step than its parent ends, gets
// all the pages it may ever need when it starts, and keeps them until everything that follows it is
// done. Nothing is ever pre-empted or computed twice.
//
// Branches are tried depth first, siblings strictly in order; several are under way at a time, so
// that steps are full. The first unfinished branch of every level is the primary path. One that is
// not on it starts only if every branch under way could still go on to the end of its most
// expensive path with the pages that are left; the next one of the primary path starts as soon as
// its pages are there. That they will be: what the others left was enough for it, and whatever the
// primary path has taken since comes back as it is finished.

#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "kept_pages.h"
#include "muster/model/model.h"
#include "page_pool.h"

namespace muster {

/// Positions [begin, end) after those of the parent.
struct Branch {
    std::int32_t parent = -1;  ///< index, lower than its own; -1: begins at position 0
    std::int64_t begin = 0;
    std::int64_t known = 0;    ///< rows before this one are in the kept pages, if they still are
    std::int64_t end = 0;      ///< positions whose tokens are there
    std::int64_t at_most = 0;  ///< positions there will ever be
    bool open = false;         ///< may grow: goes on until finish()
};

class Scheduler {
 public:
    /// The new rows of one branch in a step.
    struct Slice {
        std::int32_t branch = 0;
        std::int32_t first_position = 0;
        std::int32_t num_rows = 0;
        bool operator==(const Slice&) const = default;
    };
    struct Step {
        std::vector<PageCopy> copies;  ///< to be done in order, before the slices are computed
        std::vector<Slice> slices;
    };

    /// `branches` in depth-first order, siblings in the order in which they may start. `pool` must
    /// be free but for `kept` and hold the most expensive path; both must outlive the scheduler.
    /// The first positions of `keep` are kept when it is done (-1: none).
    Scheduler(std::span<const Branch> branches, std::int64_t max_step_rows, PagePool& pool,
              KeptPages& kept, std::int32_t keep);

    /// The next step, at most max_step_rows rows; they count as computed from now on, and branches
    /// that are not open end with their last row. No slices once everything is finished. Throws
    /// InternalError if unfinished branches have nothing to compute.
    Step next_step();
    /// An open branch has one more token to feed. Throws InternalError beyond at_most.
    void extend(std::int32_t branch);
    /// An open branch needs no further row; possible before it started, but not before its parent
    /// ended.
    void finish(std::int32_t branch);
    /// Pages that cover the first `tokens` positions of a branch that is under way.
    std::span<const std::int32_t> pages(std::int32_t branch, std::int64_t tokens) const;

 private:
    enum class Phase : std::uint8_t { waiting, running, ended, released };
    struct State {
        std::int64_t begin = 0, known = 0, input = 0, end = 0, at_most = 0, computed = 0;
        std::int32_t parent = 0, next_sibling = -1;
        std::int32_t next_child = -1;    ///< first one that has not started
        std::int32_t first_child = -1;   ///< first one that is not released
        std::int64_t path_pages = 0;     ///< of its own and on its most expensive path
        std::int64_t sibling_pages = 0;  ///< largest path_pages of itself and later siblings
        bool open = false;
        Phase phase = Phase::waiting;
        std::vector<std::int32_t> pages = {};
    };

    State& at(std::int32_t branch) { return states_[static_cast<std::size_t>(branch)]; }
    const State& at(std::int32_t branch) const { return states_[static_cast<std::size_t>(branch)]; }
    std::int64_t need(const State& state) const;
    void set_next_child(State& state, std::int32_t child);
    std::int32_t first_waiting(std::int32_t branch) const;
    bool is_primary(std::int32_t branch) const;
    bool may_start(std::int32_t branch);
    void start(std::int32_t branch, std::vector<PageCopy>& copies);
    void append_slice(std::int32_t branch, std::int64_t& rows_left, std::vector<Slice>& slices);
    void settle();
    void end(std::int32_t branch);
    void release(std::int32_t branch);
    bool may_begin(const State& state) const;
    void skip_released_children(State& state);

    std::int64_t max_step_rows_;
    PagePool& pool_;
    KeptPages& kept_;
    std::int32_t keep_;
    bool kept_is_known_ = true;  ///< kept pages are still those that Branch::known speaks of
    std::vector<State> states_;  ///< of the branches, then of the trunk that roots hang from
    std::int32_t trunk_;
    std::vector<std::int32_t> running_;    ///< in the order in which they started
    std::set<std::int32_t> candidates_;    ///< next children of branches that ended
    std::multiset<std::int64_t> needs_;    ///< pages, one per branch under way
    std::vector<std::int32_t> last_step_;  ///< branches that it computed
};

}  // namespace muster
