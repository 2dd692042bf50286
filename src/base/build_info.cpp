#include "muster/base/build_info.h"

#include <cstdlib>
#include <filesystem>

#include "git_commit.h"

namespace muster {

namespace fs = std::filesystem;

const BuildInfo& build_info() {
    static const BuildInfo info{MUSTER_VERSION, MUSTER_GIT_COMMIT, MUSTER_COMPILER,
                                MUSTER_BUILD_TYPE};
    return info;
}

std::string build_id() {
    const BuildInfo& build = build_info();
    return build.version + ' ' + (build.git_commit.empty() ? "-" : build.git_commit) + ' ' +
           build.compiler;
}

// MUSTER_DATA, if set, is taken as it is: a wrong one should be noticed, not silently replaced.
std::string data_folder() {
    if (const char* set = std::getenv("MUSTER_DATA"); set != nullptr && *set != '\0') return set;
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error);
    return error ? "" : data_folder_of(program.string());
}

std::string data_folder_of(const std::string& program) {
    std::error_code error;
    const fs::path folder = fs::path(program).parent_path();
    const fs::path installed = folder.parent_path() / "share" / "muster";
    if (fs::is_directory(installed / "tasks", error)) return installed.string();
    for (fs::path up = folder; up.has_relative_path(); up = up.parent_path())
        if (fs::is_directory(up / "configs" / "tasks", error)) return (up / "configs").string();
    return "";
}

}  // namespace muster
