#pragma once
// What a plain YAML scalar means, by the rules of PyYAML 6.0 (resolver.py, constructor.py).

#include <string_view>

#include "muster/config/value.h"

namespace muster {

/// Null, a boolean, an integer, a real, or the text itself. Dates stay text.
Value resolve_yaml_scalar(std::string_view text);

}  // namespace muster
