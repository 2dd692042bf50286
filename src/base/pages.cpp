#include "muster/base/pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>
#include <vector>

namespace muster {

namespace {

/// Magic numbers of network and user-space file systems (statfs(2); Lustre, BeeGFS, GPFS).
bool is_on_network(int fd) {
    constexpr std::array<std::uint32_t, 12> kMagic = {
        0x6969,     0x0BD00BD0, 0x65735546, 0xFF534D42, 0xFE534D42, 0x517B,
        0x47504653, 0x19830326, 0x00C36400, 0x01021997, 0x5346414F, 0x73757245};
    struct statfs status {};
    if (::fstatfs(fd, &status) != 0) return false;
    const auto type = static_cast<std::uint32_t>(status.f_type);
    return std::find(kMagic.begin(), kMagic.end(), type) != kMagic.end();
}

/// `part` widened to whole pages.
std::pair<std::byte*, std::size_t> pages_of(std::span<const std::byte> part) {
    static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<std::uintptr_t>(part.data()) / page * page;
    const auto end = reinterpret_cast<std::uintptr_t>(part.data()) + part.size();
    return {reinterpret_cast<std::byte*>(begin), (end - begin + page - 1) / page * page};
}

/// Reads a part of a file for the sake of the system's cache. An error will show when a page is
/// touched.
void read_through(int fd, off_t at, std::size_t bytes) {
    std::vector<char> buffer(std::size_t{8} << 20);
    for (const off_t end = at + static_cast<off_t>(bytes); at < end;) {
        const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        at += n;
    }
}

}  // namespace

void forget_pages(std::span<const std::byte> part) {
    if (part.empty()) return;
    const auto [begin, bytes] = pages_of(part);
    (void)::madvise(begin, bytes, MADV_DONTNEED);  // clean, hence nothing is lost
}

void read_ahead(const MappedFile& file, std::span<const std::byte> part) {
    if (part.empty()) return;
    const auto [begin, bytes] = pages_of(part);
    const int fd = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && is_on_network(fd))
        read_through(fd, begin - file.bytes().data(), bytes);
    else
        (void)::madvise(begin, bytes, MADV_WILLNEED);
    if (fd >= 0) ::close(fd);
}

}  // namespace muster
