#include "muster/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "muster/base/error.h"

namespace muster {

namespace {

std::string reason() {
    return std::strerror(errno);
}

// A file descriptor that closes itself.
class Descriptor {
 public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }

 private:
    int fd_;
};

int open_for_reading(const std::string& path) {
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw UserError(path + ": cannot open: " + reason());
    return fd;
}

struct stat stat_file(int fd, const std::string& path) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) throw UserError(path + ": cannot stat: " + reason());
    if (S_ISDIR(status.st_mode)) throw UserError(path + ": is a directory; a file is expected");
    return status;
}

void write_fully(int fd, std::string_view content, const std::string& path) {
    while (!content.empty()) {
        ssize_t n = ::write(fd, content.data(), content.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) throw SystemError(path + ": cannot write: " + reason());
        content.remove_prefix(static_cast<std::size_t>(n));
    }
}

// The rename is durable only once the directory that holds the name is on the disk. Some file
// systems cannot sync a directory; they say so, and there is nothing better to do.
void sync_directory_of(const std::string& path) {
    std::size_t slash = path.rfind('/');
    std::string directory = slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() >= 0) ::fsync(fd.get());
}

}  // namespace

std::string read_file(const std::string& path) {
    Descriptor fd(open_for_reading(path));
    struct stat status = stat_file(fd.get(), path);
    std::string content;
    // The size is only a hint: pipes and /proc have none, and a file may grow while it is read.
    content.resize(status.st_size > 0 ? static_cast<std::size_t>(status.st_size) + 1 : 65536);
    std::size_t used = 0;
    while (true) {
        if (used == content.size()) content.resize(content.size() * 2);
        ssize_t n = ::read(fd.get(), content.data() + used, content.size() - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw UserError(path + ": cannot read: " + reason());
        if (n == 0) break;
        used += static_cast<std::size_t>(n);
    }
    content.resize(used);
    return content;
}

void write_file_atomically(const std::string& path, std::string_view content) {
    std::string temporary = path + ".tmp." + std::to_string(::getpid());
    Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (fd.get() < 0) throw SystemError(temporary + ": cannot create: " + reason());
    try {
        write_fully(fd.get(), content, temporary);
        if (::fsync(fd.get()) != 0) throw SystemError(temporary + ": cannot sync: " + reason());
        if (::close(fd.release()) != 0)
            throw SystemError(temporary + ": cannot close: " + reason());
        if (::rename(temporary.c_str(), path.c_str()) != 0)
            throw SystemError(path + ": cannot rename " + temporary + " to it: " + reason());
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
    sync_directory_of(path);
}

MappedFile::MappedFile(const std::string& path) : path_(path) {
    Descriptor fd(open_for_reading(path));
    struct stat status = stat_file(fd.get(), path);
    if (!S_ISREG(status.st_mode)) throw UserError(path + ": not a regular file; cannot map it");
    if (status.st_size == 0) return;
    auto size = static_cast<std::size_t>(status.st_size);
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (address == MAP_FAILED) throw UserError(path + ": cannot map: " + reason());
    data_ = static_cast<const std::byte*>(address);
    size_ = size;
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

}  // namespace muster
