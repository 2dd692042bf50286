#pragma once
// Answer filters: responses of all repeats of one sample → filtered responses.

#include <string>
#include <vector>

#include "muster/task/task_spec.h"

namespace muster {

/// Checks names and options once, at load: throws UserError at `place` with the known filters.
void check_filter(const FilterSpec& filter, const std::string& place);
/// Applies the pipeline's steps in order.
std::vector<std::string> apply_filter(const FilterSpec& filter, const std::vector<std::string>& responses);
std::vector<std::string> known_filters();

}  // namespace muster
