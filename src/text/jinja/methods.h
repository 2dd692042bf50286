#pragma once
// The methods of str, list and dict.

#include <cstdint>
#include <string_view>

#include "arguments.h"

namespace muster::jinja {

class Evaluator;

/// A method name, resolved when the template is parsed.
struct MethodEntry;
using Method = const MethodEntry*;

/// The methods called `name`, nullptr if no type has one.
Method find_method(std::string_view name);
/// True if values of the kind of `object` have `method`.
bool has_method(const Any& object, Method method);
/// object.method(arguments).
Any call_method(Evaluator& evaluator, const Any& object, Method method, const Arguments& arguments);

}  // namespace muster::jinja
