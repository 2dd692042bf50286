#pragma once
// Python's two ways of formatting: "%d of %s" % values and "{} of {name}".format(values).

#include <string>

#include "arguments.h"

namespace muster::jinja {

/// format % values, where values is a tuple, a dict for %(name)s, or one value.
std::string percent_format(Arena& arena, std::string_view format, const Any& values);
/// format.format(arguments) with fields {}, {0} and {name}, !r and !s, and format specifications.
std::string brace_format(Arena& arena, std::string_view format, const Arguments& arguments);

}  // namespace muster::jinja
