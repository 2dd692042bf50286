#include "stop_matcher.h"

#include <algorithm>

namespace muster {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
    std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
    for (const std::string& stop : stops_) longest_ = std::max(longest_, stop.size());
}

bool StopMatcher::push(std::string_view piece) {
    if (stopped_ || stops_.empty()) return stopped_;
    tail_ += piece;
    stopped_ = std::any_of(stops_.begin(), stops_.end(), [&](const std::string& stop) {
        return tail_.find(stop) != std::string::npos;
    });
    if (tail_.size() >= longest_) tail_.erase(0, tail_.size() - (longest_ - 1));
    return stopped_;
}

std::string cut_at_stops(std::string text, const std::vector<std::string>& stops) {
    for (const std::string& stop : stops) {
        if (stop.empty()) continue;
        if (const std::size_t at = text.find(stop); at != std::string::npos) text.resize(at);
    }
    return text;
}

}  // namespace muster
