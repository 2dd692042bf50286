#pragma once
// Which rows make up the next step. Knows lengths and pages, not tokens or models. Sequences are
// admitted longest first, each with all the pages it may ever need, so nothing is ever pre-empted
// or computed twice; admitted sequences get their rows in the order of admission, in chunks of what
// is left of the step.

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "page_pool.h"

namespace muster {

class Scheduler {
 public:
    struct Length {
        std::int64_t input = 0;    ///< tokens known now, ≥ 1
        std::int64_t at_most = 0;  ///< tokens it will ever have, ≥ input
    };
    /// The new rows of one sequence in a step.
    struct Slice {
        std::size_t sequence = 0;  ///< index into `lengths`
        std::int32_t first_position = 0;
        std::int32_t num_rows = 0;
        bool operator==(const Slice&) const = default;
    };

    /// `pool` must outlive the scheduler and hold the longest sequence.
    Scheduler(const std::vector<Length>& lengths, std::int64_t max_step_rows, PagePool& pool);

    /// Slices of the next step, at most max_step_rows rows in all; they count as computed from now
    /// on. Empty once every sequence is finished. Throws InternalError if unfinished sequences have
    /// nothing to compute.
    std::vector<Slice> next_step();
    /// True if all tokens of `sequence` known so far are computed.
    bool caught_up(std::size_t sequence) const;
    /// `sequence` has one more token to feed. Throws InternalError beyond at_most.
    void extend(std::size_t sequence);
    /// `sequence` needs no further step; its pages are free from now on.
    void finish(std::size_t sequence);
    /// Pages that cover the first `tokens` positions of a running sequence, valid until it is
    /// finished.
    std::span<const std::int32_t> pages(std::size_t sequence, std::int64_t tokens) const;

 private:
    struct Sequence {
        std::int64_t known = 0, at_most = 0, computed = 0;
        std::vector<std::int32_t> pages = {};
    };
    void append_slice(std::size_t sequence, std::int64_t& rows_left, std::vector<Slice>& slices);
    bool admit_next();

    std::int64_t max_step_rows_;
    PagePool& pool_;
    std::vector<Sequence> sequences_;
    std::deque<std::size_t> waiting_;   ///< longest first, then lowest index
    std::vector<std::size_t> running_;  ///< in order of admission
};

}  // namespace muster
