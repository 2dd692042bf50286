#include "scheduler.h"

#include <algorithm>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

Scheduler::Scheduler(const std::vector<Length>& lengths, std::int64_t max_step_rows, PagePool& pool)
    : max_step_rows_(max_step_rows), pool_(pool) {
    sequences_.reserve(lengths.size());
    for (const Length& length : lengths) {
        if (length.input < 1 || length.at_most < length.input ||
            pages_for_tokens(length.at_most) > pool.num_pages()) {
            throw InternalError(cat("engine: a sequence of ", length.input, " and at most ",
                                    length.at_most, " tokens does not fit into ", pool.num_pages(),
                                    " pages"));
        }
        waiting_.push_back(sequences_.size());
        sequences_.push_back({.known = length.input, .at_most = length.at_most});
    }
    std::stable_sort(waiting_.begin(), waiting_.end(), [&](std::size_t a, std::size_t b) {
        return sequences_[a].at_most > sequences_[b].at_most;
    });
}

std::vector<Scheduler::Slice> Scheduler::next_step() {
    std::vector<Slice> slices;
    std::int64_t rows_left = max_step_rows_;
    for (const std::size_t sequence : running_) append_slice(sequence, rows_left, slices);
    while (rows_left > 0 && admit_next()) append_slice(running_.back(), rows_left, slices);
    if (slices.empty() && !(running_.empty() && waiting_.empty())) {
        throw InternalError(cat("engine: ", running_.size(), " running and ", waiting_.size(),
                                " waiting sequences, but nothing to compute"));
    }
    return slices;
}

void Scheduler::append_slice(std::size_t sequence, std::int64_t& rows_left,
                             std::vector<Slice>& slices) {
    Sequence& state = sequences_[sequence];
    const std::int64_t rows = std::min(state.known - state.computed, rows_left);
    if (rows == 0) return;
    slices.push_back({.sequence = sequence,
                      .first_position = static_cast<std::int32_t>(state.computed),
                      .num_rows = static_cast<std::int32_t>(rows)});
    state.computed += rows;
    rows_left -= rows;
}

bool Scheduler::admit_next() {
    if (waiting_.empty()) return false;
    Sequence& state = sequences_[waiting_.front()];
    state.pages = pool_.take(static_cast<std::int32_t>(pages_for_tokens(state.at_most)));
    if (state.pages.empty()) return false;
    running_.push_back(waiting_.front());
    waiting_.pop_front();
    return true;
}

bool Scheduler::caught_up(std::size_t sequence) const {
    return sequences_[sequence].computed == sequences_[sequence].known;
}

void Scheduler::extend(std::size_t sequence) {
    Sequence& state = sequences_[sequence];
    if (state.known == state.at_most) {
        throw InternalError(cat("engine: sequence ", sequence, " grows beyond its ", state.at_most,
                                " reserved tokens"));
    }
    ++state.known;
}

void Scheduler::finish(std::size_t sequence) {
    if (std::erase(running_, sequence) != 1) {
        throw InternalError(cat("engine: sequence ", sequence, " is finished but not running"));
    }
    pool_.give_back(sequences_[sequence].pages);
    sequences_[sequence].pages.clear();
}

std::span<const std::int32_t> Scheduler::pages(std::size_t sequence, std::int64_t tokens) const {
    const std::vector<std::int32_t>& all = sequences_[sequence].pages;
    const auto needed = static_cast<std::size_t>(pages_for_tokens(tokens));
    if (needed > all.size()) {
        throw InternalError(
            cat("engine: sequence ", sequence, " has ", all.size(), " pages, not ", needed));
    }
    return std::span<const std::int32_t>(all).first(needed);
}

}  // namespace muster
