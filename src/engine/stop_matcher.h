#pragma once
// Finds stop strings in text that grows piece by piece.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace muster {

class StopMatcher {
 public:
    /// Empty stop strings never match (lm-evaluation-harness 0.4.13, models/utils.py).
    explicit StopMatcher(std::vector<std::string> stops);

    /// Adds `piece` to the text; true if the text now contains a stop string.
    bool push(std::string_view piece);
    bool stopped() const { return stopped_; }

 private:
    std::vector<std::string> stops_;
    std::size_t longest_ = 0;
    std::string tail_;  ///< the end of the text, long enough to hold the start of any stop string
    bool stopped_ = false;
};

/// `text` cut before the first occurrence of each stop string in turn, as Python's
/// text.split(stop)[0] does: later stops see what earlier ones left.
std::string cut_at_stops(std::string text, const std::vector<std::string>& stops);

}  // namespace muster
