// Rank 0 makes a file, tells the others where it is, and all map it. The others check that what
// they opened is that very file (device and inode): in another PID namespace, /proc/<pid> is
// another process. Failures of the system calls are no errors here: the next way is tried, then
// none.

#include "muster/mpi/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <random>
#include <utility>

namespace muster {

namespace {

/// A file descriptor that closes itself.
class Descriptor {
 public:
    Descriptor() = default;
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() {
        if (fd_ >= 0) close(fd_);
    }
    int get() const { return fd_; }

 private:
    int fd_ = -1;
};

/// Where rank 0's file is. Sent as bytes: the ranks run the same program on one node.
struct Offer {
    std::uint64_t device = 0, inode = 0;
    std::array<char, 64> path{};  ///< empty: there is no file
};

bool identify(int fd, Offer& offer) {
    struct stat status {};
    if (fstat(fd, &status) != 0) return false;
    offer.device = static_cast<std::uint64_t>(status.st_dev);
    offer.inode = static_cast<std::uint64_t>(status.st_ino);
    return true;
}

Descriptor create_memfd(std::uint64_t bytes, Offer& offer) {
    Descriptor file(memfd_create("muster", MFD_CLOEXEC));
    if (file.get() < 0 || ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) return {};
    std::snprintf(offer.path.data(), offer.path.size(), "/proc/%ld/fd/%d",
                  static_cast<long>(getpid()), file.get());
    return file;
}

/// The pages are taken at once: beyond the limit of /dev/shm, the first touch of a page would end
/// the process.
Descriptor create_in_dev_shm(std::uint64_t bytes, Offer& offer) {
    std::random_device random;
    std::snprintf(offer.path.data(), offer.path.size(), "/muster-%ld-%08x%08x",
                  static_cast<long>(getpid()), random(), random());
    Descriptor file(shm_open(offer.path.data(), O_RDWR | O_CREAT | O_EXCL, 0600));
    if (file.get() < 0) return {};
    if (posix_fallocate(file.get(), 0, static_cast<off_t>(bytes)) != 0) {
        shm_unlink(offer.path.data());
        return {};
    }
    return file;
}

Descriptor create(SharedMemory::Way way, std::uint64_t bytes, Offer& offer) {
    Descriptor file = way == SharedMemory::Way::memfd ? create_memfd(bytes, offer)
                                                      : create_in_dev_shm(bytes, offer);
    if (file.get() < 0 || !identify(file.get(), offer)) offer.path[0] = '\0';
    return file;
}

Descriptor open_offer(SharedMemory::Way way, const Offer& offer, bool writes) {
    const int mode = (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC;
    Descriptor file(way == SharedMemory::Way::memfd ? open(offer.path.data(), mode)
                                                    : shm_open(offer.path.data(), mode, 0));
    Offer opened;
    const bool same = file.get() >= 0 && identify(file.get(), opened) &&
                      opened.device == offer.device && opened.inode == offer.inode;
    return same ? std::move(file) : Descriptor();
}

}  // namespace

std::unique_ptr<SharedMemory> SharedMemory::make(const Communicator& comm, std::uint64_t bytes,
                                                 Access access, const std::vector<Way>& ways) {
    const bool one_node = comm.split_by_node().size() == comm.size();
    if (comm.min(one_node && bytes > 0) == 0) return nullptr;
    const bool writes = comm.is_root() || access == Access::all_write;
    const int protection = writes ? PROT_READ | PROT_WRITE : PROT_READ;
    for (const Way way : ways) {
        Offer offer;
        Descriptor file;
        if (comm.is_root()) file = create(way, bytes, offer);
        comm.broadcast(std::as_writable_bytes(std::span(&offer, 1)));
        if (offer.path[0] == '\0') continue;
        if (!comm.is_root()) file = open_offer(way, offer, writes);
        void* address = MAP_FAILED;
        if (file.get() >= 0) address = mmap(nullptr, bytes, protection, MAP_SHARED, file.get(), 0);
        std::unique_ptr<SharedMemory> memory;
        if (address != MAP_FAILED)
            memory.reset(new SharedMemory(static_cast<std::byte*>(address), bytes, way));
        const bool everywhere = comm.min(memory != nullptr) == 1;
        if (comm.is_root() && way == Way::dev_shm) shm_unlink(offer.path.data());
        if (everywhere) return memory;
    }
    return nullptr;
}

SharedMemory::~SharedMemory() {
    munmap(data_, size_);
}

}  // namespace muster
