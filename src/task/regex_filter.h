#pragma once
// The filter `regex`: the text of one match, as lm-evaluation-harness picks it.

#include <cstdint>
#include <string>
#include <vector>

#include "muster/text/regex.h"

namespace muster {

class RegexFilter {
 public:
    /// `select` counts matches from the left, or from the right if negative. Throws UserError for a
    /// bad pattern.
    RegexFilter(const std::string& pattern, std::int64_t select, std::string fallback);
    std::vector<std::string> operator()(const std::vector<std::string>& responses) const;

 private:
    std::string extract(const std::string& response) const;

    Regex regex_;
    std::int64_t select_;
    std::string fallback_;
};

}  // namespace muster
