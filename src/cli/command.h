#pragma once
// The commands of the program: each takes its arguments without "muster <name>" and returns an exit
// code.

#include <string>
#include <vector>

namespace muster {

using Arguments = std::vector<std::string>;

int run_command(const Arguments& arguments);
int bench_command(const Arguments& arguments);
int plan_command(const Arguments& arguments);
int report_command(const Arguments& arguments);
int show_command(const Arguments& arguments);
int verify_command(const Arguments& arguments);
int tasks_command(const Arguments& arguments);
int tokenize_command(const Arguments& arguments);

/// Exit code of `verify` when something is off.
inline constexpr int kVerifyFailed = 1;

}  // namespace muster
