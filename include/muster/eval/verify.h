#pragma once
// Trust, but recompute: every score of a result file from the records in the same file.

#include <string>
#include <vector>

namespace muster {

/// Problems of the file at `path`, each with the place it was found at; empty if all is well.
/// Checks checksums, column lengths, counts, unique document ids, prompt hashes, every per-sample
/// value, every metric with its standard error, groups, and the summary. Throws UserError only if
/// the file cannot be read at all.
std::vector<std::string> verify_result(const std::string& path);

}  // namespace muster
