#include "exact_match.h"

#include <algorithm>

namespace muster {

Score ExactMatch::operator()(const SampleView& view) const {
    if (!view.usable || view.responses.empty()) return {0};
    std::vector<std::string> references;
    for (const std::string& target : view.sample.targets)
        references.push_back(normalizer_.normalized(target));
    double matches = 0;
    for (const std::string& response : view.responses)
        if (std::find(references.begin(), references.end(), normalizer_.normalized(response)) !=
            references.end())
            ++matches;
    if (references.size() != 1) return {matches > 0 ? 1.0 : 0.0};
    return {matches / static_cast<double>(view.responses.size())};
}

}  // namespace muster
