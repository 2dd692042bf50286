#pragma once
// Answer filters: responses of all repeats of one sample → filtered responses.

#include <memory>
#include <string>
#include <vector>

#include "muster/task/task_spec.h"

namespace muster {

/// Checks names and options once, at load: throws UserError at `place` with the known filters.
void check_filter(const FilterSpec& filter, const std::string& place);
/// A pipeline with its patterns compiled. An expression that needs too many steps on a response
/// counts as no match.
class FilterPipeline {
 public:
    /// Throws UserError as check_filter does.
    FilterPipeline(const FilterSpec& filter, const std::string& place);
    ~FilterPipeline();
    FilterPipeline(FilterPipeline&&) noexcept;
    FilterPipeline& operator=(FilterPipeline&&) noexcept;
    /// Applies the steps in order.
    std::vector<std::string> apply(std::vector<std::string> responses) const;

 private:
    struct Steps;
    std::unique_ptr<Steps> steps_;
};

/// Applies the pipeline's steps in order; compiles it first.
std::vector<std::string> apply_filter(const FilterSpec& filter,
                                      const std::vector<std::string>& responses);
std::vector<std::string> known_filters();

}  // namespace muster
