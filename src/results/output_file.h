#pragma once
// How a file appears whole or not at all: checked early, written under a temporary name, synced,
// renamed.

#include <string>

namespace muster {

/// Throws UserError if `path` exists and not `overwrite`, or if its folder is missing or cannot be
/// written.
void check_output(const std::string& path, bool overwrite);
/// Syncs the file `from`, renames it over `to`, syncs the folder. Throws SystemError; `from` is
/// then still there.
void publish_file(const std::string& from, const std::string& to);

}  // namespace muster
