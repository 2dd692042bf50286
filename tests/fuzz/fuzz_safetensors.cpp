// Any bytes are either refused with a UserError or give tensors that lie inside the file, in the
// sizes that their shapes say.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "muster/base/error.h"
#include "muster/tensor/checkpoint.h"

using namespace muster;

namespace {

// A file in memory with a path of its own.
class MemoryFile {
 public:
    MemoryFile(const std::uint8_t* data, std::size_t size) : fd_(memfd_create("fuzz", 0)) {
        if (fd_ < 0 || ::write(fd_, data, size) != static_cast<ssize_t>(size)) std::abort();
    }
    ~MemoryFile() { ::close(fd_); }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;
    std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
    int fd_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    MemoryFile memory(data, size);
    try {
        SafeTensorsFile file(memory.path());
        std::size_t total = 0;
        volatile unsigned sum = 0;  // every byte is read
        for (const StoredTensor& tensor : file.tensors()) {
            std::int64_t count = num_elements(tensor.shape);
            if (count < 0 || static_cast<std::size_t>(count) > tensor.bytes.size()) std::abort();
            for (std::byte byte : tensor.bytes) sum = sum + std::to_integer<unsigned>(byte);
            total += tensor.bytes.size();
        }
        if (total > size) std::abort();
    } catch (const UserError&) {
    }
    return 0;
}
