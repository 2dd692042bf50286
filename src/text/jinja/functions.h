#pragma once
// The functions that every template can call: range, namespace, dict, joiner, cycler,
// raise_exception, strftime_now.

#include <string_view>

#include "arguments.h"

namespace muster::jinja {

class Evaluator;

/// The function called `name` as a value, or false.
bool find_function(Evaluator& evaluator, std::string_view name, Any& out);
/// A method taken from its object without calling it, as in `{% set get = d.get %}`.
Any bound_method(Evaluator& evaluator, const Any& object, const struct MethodEntry* method);

}  // namespace muster::jinja
