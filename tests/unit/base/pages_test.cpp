#include "muster/base/pages.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../temporary_folder.h"

using namespace muster;

namespace {

/// Which pages of a mapped file are in the system's cache.
std::vector<bool> cached_pages(const MappedFile& file) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> in_core((file.bytes().size() + page - 1) / page);
    auto* begin = const_cast<std::byte*>(file.bytes().data());
    REQUIRE(mincore(begin, file.bytes().size(), in_core.data()) == 0);
    std::vector<bool> cached;
    for (const unsigned char bits : in_core) cached.push_back((bits & 1) != 0);
    return cached;
}

/// Takes a file out of the system's cache, where the file system has one.
void drop(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY);
    REQUIRE(fd >= 0);
    fsync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    close(fd);
}

}  // namespace

TEST_CASE("file systems that are read from end to end") {
    for (const std::uint32_t network :
         {0x6969u, 0x0BD00BD0u, 0x65735546u, 0x47504653u, 0xFE534D42u})
        CHECK(is_network_file_system(network));
    // ext4, XFS, Btrfs, tmpfs, overlayfs, ZFS
    for (const std::uint32_t local :
         {0xEF53u, 0x58465342u, 0x9123683Eu, 0x01021994u, 0x794C7630u, 0x2FC12FC1u})
        CHECK_FALSE(is_network_file_system(local));
}

TEST_CASE("what is read through is in the cache, and what is forgotten comes back") {
    const test::TemporaryFolder folder;
    std::string content(std::size_t{24} << 20, 'x');
    for (std::size_t i = 0; i < content.size(); i += 4096) content[i] = static_cast<char>(i >> 12);
    const std::string path = folder.write("file", content);
    const MappedFile file(path);
    drop(path);
    const std::vector<bool> before = cached_pages(file);
    if (std::find(before.begin(), before.end(), false) == before.end())
        MESSAGE("not run in full: this file system keeps its files in memory");
    const auto part = file.bytes().subspan(5'000'001, 11'000'003);
    read_through(file, part);
    const std::vector<bool> after = cached_pages(file);
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    for (std::size_t i = 5'000'001 / page; i <= (5'000'001 + 11'000'002) / page; ++i)
        REQUIRE(after[i]);
    read_ahead(file, file.bytes());
    forget_pages(part);
    const auto* bytes = reinterpret_cast<const char*>(file.bytes().data());
    CHECK(std::string(bytes, file.bytes().size()) == content);
    read_ahead(file, {});
    read_through(file, {});
}

TEST_CASE("a file that is gone is no error before it is read") {
    const test::TemporaryFolder folder;
    const std::string path = folder.write("file", "content");
    const MappedFile file(path);
    unlink(path.c_str());
    read_ahead(file, file.bytes());
    read_through(file, file.bytes());
    CHECK(file.bytes().size() == 7);
}
