#pragma once
// Text to Value and back. Input is hostile: depth is limited to 200, numbers and UTF-8 are checked.

#include <string>
#include <string_view>

#include "muster/config/value.h"

namespace muster {

enum class DuplicateKeys {
    error,     ///< configuration: a repeated key is a mistake
    last_wins  ///< data: what Python's json does
};

/// Parses one JSON document. Accepts NaN, Infinity and -Infinity as Python writes them.
/// Throws UserError "<place>:<line>:<column>: …". Integers beyond 64 bits become reals.
Value parse_json(std::string_view text, const std::string& place,
                 DuplicateKeys duplicates = DuplicateKeys::last_wins);

/// Parses one YAML document with PyYAML's (YAML 1.1) rules for plain scalars: yes/no/on/off are
/// booleans, 1_000 and 0x1F integers, 1e3 a string (no dot), ~ null. Anchors and merge keys (<<)
/// work. A scalar tagged `!function a.b` becomes {"!function": "a.b"}; other unknown tags are
/// errors. Throws UserError "<place>:<line>:<column>: …".
Value parse_yaml(std::string_view text, const std::string& place,
                 DuplicateKeys duplicates = DuplicateKeys::error);

/// parse_yaml for .yaml/.yml and files without an extension, parse_json for .json.
Value parse_config_file(const std::string& path, DuplicateKeys duplicates = DuplicateKeys::error);

/// Compact (indent < 0) or indented JSON, UTF-8 kept as it is, reals in their shortest exact form.
std::string to_json(const Value& value, int indent = -1);

}  // namespace muster
