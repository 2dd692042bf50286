#pragma once
// Standard error as log and progress share it: a log line must not land in the middle of a bar.

#include <string>
#include <string_view>

namespace muster {

/// True if this process prints more than its own errors (see configure_log).
bool log_speaks();
/// Writes `line` and a line feed in one write; clears an open bar first.
void write_stderr_line(std::string_view line);
/// Draws `line` over the last drawn one, without a line feed: a bar that stays open.
void draw_stderr_bar(std::string_view line);
/// Ends the open bar with a line feed, if there is one.
void close_stderr_bar();

}  // namespace muster
