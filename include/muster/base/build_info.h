#pragma once
// What this program was built from; stored in every result file.

#include <string>

namespace muster {

struct BuildInfo {
    std::string version;     ///< 0.1.0
    std::string git_commit;  ///< full hash, "-dirty" for a changed tree, "" outside a checkout
    std::string compiler;    ///< GNU 12.2.0
    std::string build_type;  ///< Release
};

const BuildInfo& build_info();

/// The same in one line, without the build type: "0.1.0 8f3c… GNU 12.2.0". Parts of the program
/// that are loaded at run time fit each other if they agree on it.
std::string build_id();

/// Folder that holds `tasks/`, `quickstart/`, …: `../share/muster` beside an installed program,
/// `configs/` of the source tree for a program in `build/<preset>/`. "" if neither exists.
/// MUSTER_DATA overrides both.
std::string data_folder();
/// The same for the program at `program`, whatever MUSTER_DATA says.
std::string data_folder_of(const std::string& program);

}  // namespace muster
