#include "scheduler.h"

#include <algorithm>

#include "muster/backend/backend.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

Scheduler::Scheduler(std::span<const Branch> branches, std::int64_t max_step_rows, PagePool& pool,
                     KeptPages& kept, std::int32_t keep)
    : max_step_rows_(max_step_rows),
      pool_(pool),
      kept_(kept),
      keep_(keep),
      states_(branches.size() + 1),
      trunk_(static_cast<std::int32_t>(branches.size())) {
    // Last to first: children come before their parents, and later siblings before earlier ones.
    for (std::int32_t id = trunk_ - 1; id >= 0; --id) {
        const Branch& branch = branches[static_cast<std::size_t>(id)];
        State& state = at(id);
        state.begin = state.computed = branch.begin;
        state.known = branch.known;
        state.input = state.end = branch.end;
        state.at_most = branch.at_most;
        state.open = branch.open;
        state.parent = branch.parent < 0 ? trunk_ : branch.parent;
        State& parent = at(state.parent);
        const std::int64_t below = state.next_child < 0 ? 0 : at(state.next_child).sibling_pages;
        state.path_pages = own_pages(branch.begin, branch.at_most) + below;
        state.next_sibling = parent.next_child;
        state.sibling_pages = std::max(
            state.path_pages, state.next_sibling < 0 ? 0 : at(state.next_sibling).sibling_pages);
        parent.next_child = parent.first_child = id;
        const std::int64_t parent_end =
            branch.parent < 0 ? 0 : branches[static_cast<std::size_t>(branch.parent)].end;
        const bool ordered = branch.parent < id && branch.begin == parent_end &&
                             branch.known >= branch.begin && branch.known <= branch.end &&
                             branch.at_most >= branch.end &&
                             (branch.open || (branch.end > branch.begin));
        if (!ordered || (branch.parent < 0 && state.path_pages > pool.num_pages())) {
            throw InternalError(cat("engine: branch ", id, " of positions ", branch.begin, " to ",
                                    branch.end, ", at most ", branch.at_most,
                                    ", does not fit into ", pool.num_pages(),
                                    " pages behind position ", parent_end));
        }
    }
    at(trunk_).phase = Phase::ended;
    if (at(trunk_).next_child >= 0) candidates_.insert(at(trunk_).next_child);
}

Scheduler::Step Scheduler::next_step() {
    settle();
    Step step;
    std::int64_t rows_left = max_step_rows_;
    for (const std::int32_t branch : running_) append_slice(branch, rows_left, step.slices);
    // Starting one never makes room for one before it, so a single pass finds all.
    auto candidate = candidates_.begin();
    while (rows_left > 0 && candidate != candidates_.end()) {
        const std::int32_t branch = *candidate;
        if (may_start(branch)) {
            start(branch, step.copies);
            append_slice(branch, rows_left, step.slices);
        }
        candidate = candidates_.upper_bound(branch);
    }
    for (const Slice& slice : step.slices) last_step_.push_back(slice.branch);
    if (step.slices.empty() && at(trunk_).first_child >= 0) {
        throw InternalError(cat("engine: branches from ", at(trunk_).first_child, " on of ", trunk_,
                                " are not finished, but there is nothing to compute"));
    }
    return step;
}

void Scheduler::append_slice(std::int32_t branch, std::int64_t& rows_left,
                             std::vector<Slice>& slices) {
    State& state = at(branch);
    const std::int64_t rows = std::min(state.end - state.computed, rows_left);
    if (rows == 0) return;
    slices.push_back({.branch = branch,
                      .first_position = static_cast<std::int32_t>(state.computed),
                      .num_rows = static_cast<std::int32_t>(rows)});
    state.computed += rows;
    rows_left -= rows;
}

/// Ends what the last step completed.
void Scheduler::settle() {
    for (const std::int32_t branch : last_step_) {
        const State& state = at(branch);
        if (!state.open && state.phase == Phase::running && state.computed == state.end)
            end(branch);
    }
    last_step_.clear();
}

/// Pages that the most expensive of its children that have not started may take.
std::int64_t Scheduler::need(const State& state) const {
    return state.next_child < 0 ? 0 : at(state.next_child).sibling_pages;
}

void Scheduler::set_next_child(State& state, std::int32_t child) {
    const bool counts = &state != &at(trunk_);
    if (counts) needs_.erase(needs_.find(need(state)));
    state.next_child = first_waiting(child);
    if (counts) needs_.insert(need(state));
}

/// `branch` or the first of its later siblings that has not started and is still to come; -1: none.
std::int32_t Scheduler::first_waiting(std::int32_t branch) const {
    while (branch >= 0 && at(branch).phase != Phase::waiting) branch = at(branch).next_sibling;
    return branch;
}

/// True if everything before `branch` in depth-first order is released or leads to it.
bool Scheduler::is_primary(std::int32_t branch) const {
    for (; branch != trunk_; branch = at(branch).parent) {
        if (at(at(branch).parent).first_child != branch) return false;
    }
    return true;
}

bool Scheduler::may_start(std::int32_t branch) {
    const State& state = at(branch);
    const std::int64_t left =
        pool_.num_free() + kept_.num_idle() - own_pages(state.begin, state.at_most);
    if (left < 0) return false;
    if (is_primary(branch)) return true;
    // What all branches under way need once this one is among them.
    const State& above = at(state.parent);
    const std::int32_t next = first_waiting(state.next_sibling);
    std::int64_t most = need(state);
    if (state.parent != trunk_) {
        most = std::max(most, next < 0 ? 0 : at(next).sibling_pages);
        needs_.erase(needs_.find(need(above)));
    }
    if (!needs_.empty()) most = std::max(most, *needs_.rbegin());
    if (state.parent != trunk_) needs_.insert(need(above));
    return left >= most;
}

void Scheduler::start(std::int32_t branch, std::vector<PageCopy>& copies) {
    State& state = at(branch);
    const State& parent = at(state.parent);
    const auto first = static_cast<std::size_t>(state.begin / kKvPageTokens);
    // What an earlier run left of this branch.
    std::int64_t computed = kept_is_known_
                                ? std::max(state.begin, std::min(state.known, kept_.num_tokens()))
                                : state.begin;
    auto shared = static_cast<std::size_t>(computed / kKvPageTokens);
    const std::span<const std::int32_t> before(parent.pages);
    state.pages.assign(before.begin(), before.begin() + static_cast<std::ptrdiff_t>(first));
    if (shared > first) {
        const auto kept = kept_.pages().subspan(first, shared - first);
        state.pages.insert(state.pages.end(), kept.begin(), kept.end());
    }
    pool_.share(state.pages);
    const std::int64_t new_pages =
        pages_for_tokens(state.at_most) - static_cast<std::int64_t>(shared);
    kept_.make_room(new_pages);
    if (computed > state.begin && kept_.pages().size() <= shared) {
        // The page with the rest of them had to go.
        computed = std::max(state.begin, static_cast<std::int64_t>(shared) * kKvPageTokens);
    }
    const std::vector<std::int32_t> own = pool_.take(new_pages);
    state.pages.insert(state.pages.end(), own.begin(), own.end());
    if (computed % kKvPageTokens != 0) {
        const std::int32_t from = computed > state.begin ? kept_.pages()[shared] : before[shared];
        copies.push_back({.from = from, .to = state.pages[shared]});
    }
    state.computed = computed;
    state.phase = Phase::running;
    candidates_.erase(branch);
    needs_.insert(need(state));
    State& above = at(state.parent);
    set_next_child(above, state.next_sibling);
    if (above.next_child >= 0) candidates_.insert(above.next_child);
    running_.push_back(branch);
    if (!state.open && computed == state.end) end(branch);
}

void Scheduler::end(std::int32_t branch) {
    State& state = at(branch);
    std::erase(running_, branch);
    state.phase = Phase::ended;
    set_next_child(state, state.next_child);
    if (state.next_child >= 0) candidates_.insert(state.next_child);
    release(branch);
}

/// Gives back the pages of `branch` and of those before it that have nothing left to wait for.
void Scheduler::release(std::int32_t branch) {
    while (branch != trunk_ && at(branch).phase == Phase::ended && at(branch).first_child < 0) {
        State& state = at(branch);
        if (branch == keep_) {
            const auto kept = static_cast<std::size_t>(pages_for_tokens(state.input));
            pool_.give_back(std::span(state.pages).subspan(kept));
            state.pages.resize(kept);
            kept_.replace(std::move(state.pages), state.input);
            kept_is_known_ = false;
        } else {
            pool_.give_back(state.pages);
        }
        state.pages.clear();
        needs_.erase(needs_.find(need(state)));
        state.phase = Phase::released;
        skip_released_children(at(state.parent));
        branch = state.parent;
    }
}

void Scheduler::extend(std::int32_t branch) {
    State& state = at(branch);
    const bool goes_on = state.phase == Phase::running || may_begin(state);
    if (!state.open || !goes_on || state.computed < state.end || state.end == state.at_most) {
        throw InternalError(cat("engine: branch ", branch, " of ", state.end, " and at most ",
                                state.at_most, " positions cannot grow now"));
    }
    ++state.end;
}

void Scheduler::finish(std::int32_t branch) {
    State& state = at(branch);
    if (state.open && state.phase == Phase::running) return end(branch);
    if (!state.open || !may_begin(state)) {
        throw InternalError(cat("engine: branch ", branch, " cannot be finished now"));
    }
    state.phase = Phase::released;
    skip_released_children(at(state.parent));
}

/// True for a branch that has not started, in the time between its parent's last row and the next
/// step.
bool Scheduler::may_begin(const State& state) const {
    const State& parent = at(state.parent);
    return state.phase == Phase::waiting && parent.phase == Phase::running &&
           parent.computed == parent.end;
}

void Scheduler::skip_released_children(State& state) {
    while (state.first_child >= 0 && at(state.first_child).phase == Phase::released)
        state.first_child = at(state.first_child).next_sibling;
}

std::span<const std::int32_t> Scheduler::pages(std::int32_t branch, std::int64_t tokens) const {
    const std::vector<std::int32_t>& all = at(branch).pages;
    const auto needed = static_cast<std::size_t>(pages_for_tokens(tokens));
    if (needed > all.size()) {
        throw InternalError(
            cat("engine: branch ", branch, " has ", all.size(), " pages, not ", needed));
    }
    return std::span<const std::int32_t>(all).first(needed);
}

}  // namespace muster
