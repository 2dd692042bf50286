// When a file appears, and when not.

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../error_message.h"
#include "../temporary_folder.h"
#include "muster/base/error.h"
#include "muster/base/file.h"
#include "sample_file.h"

using namespace muster;
using namespace muster::test;

TEST_CASE("an existing file is kept unless it may be replaced") {
    const TemporaryFolder folder;
    const std::string path = folder / "out.h5";
    write_file_atomically(path, "precious");
    for (const auto& refuse :
         {+[](const std::string& p) { ResultWriter::check_writable(p, false); },
          +[](const std::string& p) { ResultWriter writer(p, false); }}) {
        const auto message = error_message<UserError>([&] { refuse(path); });
        CHECK(contains(message, path));
        CHECK(contains(message, "exists already"));
        CHECK(contains(message, "--overwrite"));
    }
    CHECK(read_file(path) == "precious");

    ResultWriter::check_writable(path, true);
    { const ResultWriter abandoned(path, true); }
    CHECK(read_file(path) == "precious");
    write_sample_file(path);
    CHECK(ResultReader(path).exists("/summary"));
    CHECK(folder.content() == std::vector<std::string>{"out.h5"});
}

TEST_CASE("without commit nothing is left") {
    const TemporaryFolder folder;
    {
        ResultWriter writer(folder / "out.h5", false);
        writer.write_columns("/samples", sample_columns());
        CHECK(folder.content() == std::vector<std::string>{"out.h5.tmp"});
    }
    CHECK(folder.content().empty());
}

TEST_CASE("a temporary file of a run that was killed is no obstacle") {
    const TemporaryFolder folder;
    write_file_atomically(folder / "out.h5.tmp", "torn");
    write_sample_file(folder / "out.h5");
    CHECK(ResultReader(folder / "out.h5").exists("/summary"));
    CHECK(folder.content() == std::vector<std::string>{"out.h5"});
}

TEST_CASE("checking leaves nothing behind") {
    const TemporaryFolder folder;
    ResultWriter::check_writable(folder / "out.h5", false);
    CHECK(folder.content().empty());
}

TEST_CASE("places that cannot be written are found before any work") {
    const TemporaryFolder folder;
    const auto refusal = [](const std::string& path) {
        return error_message<UserError>([&] { ResultWriter::check_writable(path, true); });
    };
    CHECK(contains(refusal(folder / "none/out.h5"), "there is no folder"));
    CHECK(contains(refusal(folder.path()), "is a folder"));
    CHECK(contains(refusal(""), "empty"));
    CHECK(contains(refusal("/dev/null"), "no regular file"));
    // A folder that even root cannot write.
    CHECK(contains(refusal("/proc/out.h5"), "/proc/out.h5: cannot be written: "));
    if (geteuid() != 0) {
        chmod(folder.path().c_str(), 0500);
        CHECK(contains(refusal(folder / "out.h5"), "Permission denied"));
        chmod(folder.path().c_str(), 0700);
    }
}

TEST_CASE("a relative path without folder") {
    const TemporaryFolder folder;
    const std::string here = std::filesystem::current_path().string();
    std::filesystem::current_path(folder.path());
    write_sample_file("out.h5");
    std::filesystem::current_path(here);
    CHECK(ResultReader(folder / "out.h5").exists("/summary"));
}

TEST_CASE("misuse is a bug, not a damaged file") {
    const TemporaryFolder folder;
    ResultWriter writer(folder / "out.h5", false);
    const Column two{"two", "", std::vector<std::int64_t>{1, 2}, 0};
    const Column three{"three", "", std::vector<std::int64_t>{1, 2, 3}, 0};
    CHECK_THROWS_AS(writer.write_columns("/a", {two, three}), InternalError);
    const Column ragged{"ragged", "", std::vector<std::int64_t>{1, 2, 3}, 2};
    CHECK_THROWS_AS(writer.write_columns("/b", {ragged}), InternalError);
    writer.commit();
    CHECK_THROWS_AS(writer.commit(), InternalError);
    CHECK_THROWS_AS(writer.write_text("/c", "x"), InternalError);
}

TEST_CASE("an object that exists already is an error, and ends the file") {
    const TemporaryFolder folder;
    ResultWriter writer(folder / "out.h5", false);
    writer.write_text("/a", "x");
    const auto message = error_message<SystemError>([&] { writer.write_text("/a", "y"); });
    CHECK(contains(message, "out.h5: cannot be written: /a: H5Dcreate2: "));
    CHECK(folder.content().empty());
}

TEST_CASE("the library's version") {
    CHECK(contains(hdf5_version(), "1."));
}
