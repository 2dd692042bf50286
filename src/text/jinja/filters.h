#pragma once
// The filters of a template, one table line each.

#include <string_view>

#include "arguments.h"

namespace muster::jinja {

class Evaluator;

struct Filter {
    std::string_view name;
    Any (*apply)(Evaluator& evaluator, const Any& input, const Arguments& arguments);
};

/// nullptr if there is none of that name.
const Filter* find_filter(std::string_view name);
/// All names, for suggestions.
std::vector<std::string> filter_names();

}  // namespace muster::jinja
