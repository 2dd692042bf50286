#include "muster/base/file.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "../error_message.h"
#include "../temporary_folder.h"
#include "muster/base/error.h"

using namespace muster;
using test::error_message;

TEST_CASE("read_file returns every byte") {
    test::TemporaryFolder folder;
    std::string content("a\0b\n", 4);
    CHECK(read_file(folder.write("small", content)) == content);
    CHECK(read_file(folder.write("empty", "")) == "");
    std::string large(200001, 'l');
    CHECK(read_file(folder.write("large", large)) == large);
    CHECK_FALSE(read_file("/proc/self/status").empty());  // a file whose size reads as 0
}

TEST_CASE("read_file names path and reason") {
    test::TemporaryFolder folder;
    std::string missing = folder.path() + "/no";
    CHECK(error_message<UserError>([&] { read_file(missing); }) ==
          missing + ": cannot open: No such file or directory");
    CHECK(error_message<UserError>([&] { read_file(folder.path()); }) ==
          folder.path() + ": is a directory; a file is expected");
}

TEST_CASE("write_file_atomically replaces the content and leaves nothing else") {
    test::TemporaryFolder folder;
    std::string path = folder.write("out", "old and longer");
    write_file_atomically(path, "new");
    CHECK(read_file(path) == "new");
    write_file_atomically(path, "");
    CHECK(read_file(path) == "");
    auto entries = std::filesystem::directory_iterator(folder.path());
    CHECK(std::distance(begin(entries), end(entries)) == 1);
}

TEST_CASE("write_file_atomically fails with the path and removes its temporary") {
    test::TemporaryFolder folder;
    CHECK_THROWS_AS(write_file_atomically(folder.path() + "/no/out", "x"), SystemError);
    folder.write("taken/inside", "");  // a folder that is not empty cannot be renamed over
    std::string message =
        error_message<SystemError>([&] { write_file_atomically(folder.path() + "/taken", "x"); });
    CHECK(message.starts_with(folder.path() + "/taken: cannot rename"));
    auto entries = std::filesystem::directory_iterator(folder.path());
    CHECK(std::distance(begin(entries), end(entries)) == 1);
}

TEST_CASE("MappedFile shows the bytes and can be moved") {
    test::TemporaryFolder folder;
    std::string path = folder.write("data", "hello");
    MappedFile file(path);
    MappedFile moved = std::move(file);
    CHECK(file.bytes().empty());
    auto bytes = moved.bytes();
    CHECK(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) == "hello");
    CHECK(moved.path() == path);
    moved = MappedFile(folder.write("other", "xy"));
    CHECK(moved.bytes().size() == 2);
    CHECK(MappedFile(folder.write("empty", "")).bytes().empty());
    CHECK(MappedFile().bytes().empty());
}

TEST_CASE("MappedFile refuses what is not a regular file") {
    test::TemporaryFolder folder;
    CHECK_THROWS_AS(MappedFile(folder.path()), UserError);
    CHECK_THROWS_AS(MappedFile(folder.path() + "/no"), UserError);
    CHECK(error_message<UserError>([] { MappedFile("/dev/null"); }) ==
          "/dev/null: not a regular file; cannot map it");
}
