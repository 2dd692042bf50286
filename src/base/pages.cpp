#include "muster/base/pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

namespace muster {

namespace {

bool is_on_network(const std::string& path) {
    struct statfs status {};
    return ::statfs(path.c_str(), &status) == 0 &&
           is_network_file_system(static_cast<std::uint32_t>(status.f_type));
}

/// `part` widened to whole pages.
std::pair<std::byte*, std::size_t> pages_of(std::span<const std::byte> part) {
    static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<std::uintptr_t>(part.data()) / page * page;
    const auto end = reinterpret_cast<std::uintptr_t>(part.data()) + part.size();
    return {reinterpret_cast<std::byte*>(begin), (end - begin + page - 1) / page * page};
}

/// Closes itself; not open if the file cannot be opened any more.
class Descriptor {
 public:
    explicit Descriptor(const std::string& path)
        : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

 private:
    int fd_;
};

}  // namespace

bool is_network_file_system(std::uint32_t type) {
    constexpr std::array<std::uint32_t, 13> kTypes = {
        0x6969,      // NFS
        0x0BD00BD0,  // Lustre
        0x47504653,  // GPFS
        0x19830326,  // BeeGFS
        0x00C36400,  // Ceph
        0x65735546,  // FUSE, virtiofs
        0x01021997,  // 9P
        0xFF534D42,  // CIFS
        0xFE534D42,  // SMB 2
        0x517B,      // SMB
        0x5346414F,  // AFS
        0x6B414653,  // kAFS
        0x73757245,  // Coda
    };
    return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

void forget_pages(std::span<const std::byte> part) {
    if (part.empty()) return;
    const auto [begin, bytes] = pages_of(part);
    (void)::madvise(begin, bytes, MADV_DONTNEED);  // clean, hence nothing is lost
}

void read_ahead(const MappedFile& file, std::span<const std::byte> part) {
    if (part.empty()) return;
    if (is_on_network(file.path())) return read_through(file, part);
    const auto [begin, bytes] = pages_of(part);
    (void)::madvise(begin, bytes, MADV_WILLNEED);
}

// An error will show when a page is touched.
void read_through(const MappedFile& file, std::span<const std::byte> part) {
    const Descriptor descriptor(file.path());
    std::vector<char> buffer(std::min(part.size(), std::size_t{8} << 20));
    off_t at = part.data() - file.bytes().data();
    for (const off_t end = at + static_cast<off_t>(part.size()); at < end;) {
        const auto wanted = std::min(buffer.size(), static_cast<std::size_t>(end - at));
        const ssize_t n = ::pread(descriptor.get(), buffer.data(), wanted, at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        at += n;
    }
}

}  // namespace muster
