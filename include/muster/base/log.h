#pragma once
// What a run says while it works. Reports go to standard output and belong to the commands;
// everything here goes to standard error. One process logs for all unless it speaks of its own
// failure.

#include <string>
#include <string_view>

namespace muster {

enum class Verbosity { quiet, normal, verbose };

/// Sets how much is said, and this process's prefix ("[rank 3 node12] ", "" for a world of one).
/// Only `speaks` processes print info(), detail() and warn().
void configure_log(Verbosity verbosity, std::string prefix, bool speaks);
Verbosity log_verbosity();
/// What configure_log() was last given.
std::string log_prefix();
bool log_speaks();

/// Shown unless --quiet, on the speaking process only.
void info(std::string_view message);
/// Shown with --verbose, on the speaking process only.
void detail(std::string_view message);
/// Shown always, on the speaking process only.
void warn(std::string_view message);
/// Shown always, on any process, with its prefix: what only this one knows.
void warn_here(std::string_view message);
/// Shown always, on any process, with its prefix, in one write.
void error_line(std::string_view message);

}  // namespace muster
