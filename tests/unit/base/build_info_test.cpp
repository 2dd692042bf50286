#include "muster/base/build_info.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "../temporary_folder.h"

using namespace muster;

TEST_CASE("build_info names version, compiler and, in a checkout, the commit") {
    const BuildInfo& info = build_info();
    CHECK(info.version.find('.') != std::string::npos);
    CHECK(info.compiler.find(' ') != std::string::npos);
    CHECK_FALSE(info.build_type.empty());
    // Without git, or outside a checkout, there is no commit to name.
    const char* ask = "git -C '" MUSTER_SOURCE_DIR "' rev-parse HEAD >/dev/null 2>&1";
    if (std::system(ask) == 0)
        CHECK(info.git_commit.size() >= 40);
    else
        CHECK(info.git_commit.empty());
}

TEST_CASE("data_folder takes MUSTER_DATA as it is") {
    setenv("MUSTER_DATA", "/some/where", 1);
    CHECK(data_folder() == "/some/where");
    unsetenv("MUSTER_DATA");
    CHECK(data_folder() == data_folder_of(std::filesystem::read_symlink("/proc/self/exe")));
}

TEST_CASE("data_folder_of finds what was installed, or configs/ of the source tree") {
    const test::TemporaryFolder folder;
    const std::string root = folder.path();
    CHECK(data_folder_of(root + "/bin/muster").empty());
    folder.write("tree/configs/tasks/a.yaml", "");
    CHECK(data_folder_of(root + "/tree/build/release/muster") == root + "/tree/configs");
    CHECK(data_folder_of(root + "/tree/build/muster") == root + "/tree/configs");
    CHECK(data_folder_of(root + "/elsewhere/muster").empty());
    folder.write("share/muster/tasks/a.yaml", "");
    CHECK(data_folder_of(root + "/bin/muster") == root + "/share/muster");
}

TEST_CASE("build_id is one line of version, commit and compiler") {
    const BuildInfo& info = build_info();
    const std::string id = build_id();
    for (const std::string& part : {info.version, info.git_commit, info.compiler})
        CHECK(id.find(part) != std::string::npos);
    CHECK(id.find('\n') == std::string::npos);
}
