#include <doctest/doctest.h>

#include <filesystem>

#include "../temporary_folder.h"
#include "muster/base/file.h"

using namespace muster;

namespace {

// The matches of `pattern` below `folder`, without the folder's own path.
std::vector<std::string> matches(const test::TemporaryFolder& folder, const std::string& pattern) {
    std::vector<std::string> names = glob_files(folder.path() + "/" + pattern);
    for (std::string& name : names) name.erase(0, folder.path().size() + 1);
    return names;
}
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("glob_files finds files by pattern, sorted") {
    test::TemporaryFolder folder;
    for (const char* name : {"b.json", "a.json", "a.txt", ".hidden.json", "sub/c.json",
                             "sub/deep/d.json", "sub/deep/.e.json"})
        folder.write(name, "");
    CHECK(matches(folder, "*.json") == Names{"a.json", "b.json"});
    CHECK(matches(folder, "?.txt") == Names{"a.txt"});
    CHECK(matches(folder, "[ab].json") == Names{"a.json", "b.json"});
    CHECK(matches(folder, "*/*.json") == Names{"sub/c.json"});
    CHECK(matches(folder, "**/*.json") ==
          Names{"a.json", "b.json", "sub/c.json", "sub/deep/d.json"});
    CHECK(matches(folder, "sub/**") == Names{"sub/c.json", "sub/deep/d.json"});
    CHECK(matches(folder, "**/deep/*") == Names{"sub/deep/d.json"});
    CHECK(matches(folder, "*") == Names{"a.json", "a.txt", "b.json"});  // folders are not files
    CHECK(matches(folder, "none*").empty());
    CHECK(matches(folder, "none/*.json").empty());
    CHECK(matches(folder, "a.txt/*").empty());
}

TEST_CASE("a pattern without wildcards is returned if it exists") {
    test::TemporaryFolder folder;
    folder.write("x/y", "");
    CHECK(matches(folder, "x/y") == Names{"x/y"});
    CHECK(matches(folder, "x") == Names{"x"});
    CHECK(matches(folder, "z").empty());
}

TEST_CASE("a link that leads in circles ends the search below it") {
    test::TemporaryFolder folder;
    folder.write("a/f", "");
    std::filesystem::create_directory_symlink(folder.path(), folder.path() + "/a/loop");
    CHECK(matches(folder, "**/f") == Names{"a/f"});
}
