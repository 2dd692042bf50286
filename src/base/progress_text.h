#pragma once
// What a progress display says; apart from when and where, so that it can be tested.

#include <cstddef>
#include <cstdint>
#include <string>

namespace muster {

struct ProgressState {
    std::string label, unit, note;
    std::uint64_t done = 0, total = 0;
    double seconds = 0;  ///< since the start
    bool last = false;
};

/// "score: 50% of 1,200 tokens, 60.0 tokens/s, 10.0 s left, mmlu 3/7".
std::string progress_line(const ProgressState& state);
/// "score [#####     ] 50% 60.0 tokens/s 10.0 s left mmlu 3/7", at most `width` columns.
std::string progress_bar(const ProgressState& state, std::size_t width);

}  // namespace muster
