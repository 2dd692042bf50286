#include <doctest/doctest.h>

#include "../error_message.h"
#include "../temporary_folder.h"
#include "muster/base/error.h"
#include "sample_file.h"

using namespace muster;
using namespace muster::test;

TEST_CASE("names keep what HDF5 can hold") {
    for (const char* name : {"mmlu", "acc,none", "a b", "\xc3\xbc", "..", "x.y", "-"}) {
        CHECK(escape_name(name) == name);
        CHECK(unescape_name(name) == name);
    }
}

TEST_CASE("names are escaped and come back") {
    CHECK(escape_name("leaderboard/bbh") == "leaderboard%2Fbbh");
    CHECK(escape_name("100%") == "100%25");
    CHECK(escape_name(".") == "%2E");
    for (const char* name : {"a/b", "/", "//", "%2F", "%", "50%25", ".", "%%2"}) {
        CAPTURE(name);
        CHECK(unescape_name(escape_name(name)) == name);
        CHECK_FALSE(contains(escape_name(name), "/"));
    }
    CHECK(unescape_name("%zz%2") == "%zz%2");
    CHECK(child_path("/tasks", "a/b") == "/tasks/a%2Fb");
    CHECK(child_path("/", "a") == "/a");
    CHECK_THROWS_AS(escape_name(""), UserError);
}

TEST_CASE("tasks and columns with difficult names are read back") {
    const TemporaryFolder folder;
    const std::vector<std::string> names{"%", ".", "a/b", "plain"};
    {
        ResultWriter writer(folder / "out.h5", false);
        for (const auto& name : names) {
            writer.write_columns(child_path("/tasks", name),
                                 {{name, name, std::vector<std::int64_t>{1}, 0}});
        }
        writer.commit();
    }
    const ResultReader reader(folder / "out.h5");
    auto members = reader.members("/tasks");
    CHECK(members == std::vector<std::string>{"%", ".", "a/b", "plain"});
    for (const auto& name : names) {
        const auto columns = reader.read_columns(child_path("/tasks", name));
        REQUIRE(columns.size() == 1);
        CHECK(columns[0].name == name);
        CHECK(reader.read_column(child_path("/tasks", name), name).description == name);
    }
}
