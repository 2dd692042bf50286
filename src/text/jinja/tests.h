#pragma once
// The tests of a template (`x is defined`), one table line each.

#include <string_view>

#include "arguments.h"

namespace muster::jinja {

class Evaluator;

struct Test {
    std::string_view name;
    bool (*check)(Evaluator& evaluator, const Any& input, const Arguments& arguments);
};

/// nullptr if there is none of that name.
const Test* find_test(std::string_view name);
/// All names, for suggestions.
std::vector<std::string> test_names();

}  // namespace muster::jinja
