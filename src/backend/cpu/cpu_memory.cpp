#include "cpu/cpu_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>

#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/text.h"

namespace muster::cpu {

namespace {

constexpr std::uint64_t kHugePage = std::uint64_t{2} << 20, kPage = 4 << 10;
constexpr std::uint64_t kLarge = 2 * kHugePage;

[[noreturn]] void fail(std::uint64_t bytes) {
    throw SystemError(cat("out of memory: could not allocate ", format_bytes(bytes)));
}

/// Fewer misses of the page tables' cache: reading is 10 to 25 % faster. What does not fill a huge
/// page at the end is in small ones: of a mixture's thousands of matrices a fourth could be wasted.
std::shared_ptr<std::byte> allocate_large(std::uint64_t bytes) {
    const std::uint64_t rounded = (bytes + kPage - 1) / kPage * kPage;
    const std::uint64_t mapped = rounded + kHugePage;
    void* memory = rounded >= bytes ? mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                    : MAP_FAILED;
    if (memory == MAP_FAILED) fail(bytes);
    // It begins with a huge page, and no more than it needs stays mapped.
    auto* begin = static_cast<std::byte*>(memory);
    const std::uint64_t head = -reinterpret_cast<std::uintptr_t>(begin) % kHugePage;
    if (head > 0) munmap(begin, head);
    munmap(begin + head + rounded, kHugePage - head);
    (void)madvise(begin + head, rounded, MADV_HUGEPAGE);  // a hint
    return {begin + head, [rounded](std::byte* p) { munmap(p, rounded); }};
}

}  // namespace

std::shared_ptr<std::byte> allocate_aligned(std::uint64_t bytes) {
    if (bytes >= kLarge) return allocate_large(bytes);
    constexpr std::uint64_t kAlignment = 64;
    const std::uint64_t rounded =
        (std::max<std::uint64_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
    void* memory = std::aligned_alloc(kAlignment, rounded);
    if (!memory) fail(bytes);
    return {static_cast<std::byte*>(memory), [](std::byte* p) { std::free(p); }};
}

WeightMemory::WeightMemory(const Communicator& sharers, std::uint64_t bytes) {
    if (sharers.size() == 1 || bytes == 0) return;
    shared_ = SharedMemory::make(sharers, bytes, SharedMemory::Access::all_write);
    if (!shared_) {
        info(cat("the ranks of this node cannot share ", format_bytes(bytes),
                 " of weights; each of ", sharers.size(), " has a copy of its own"));
        return;
    }
    part_ = sharers.rank();
    parts_ = sharers.size();
    (void)madvise(shared_->bytes().data(), bytes, MADV_HUGEPAGE);  // where the system shares them
}

WeightMemory::Block WeightMemory::take(std::uint64_t bytes) {
    constexpr std::uint64_t kAlignment = 64;
    const std::uint64_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    if (!shared_ || rounded > shared_->bytes().size() - taken_)
        return {allocate_aligned(bytes), 0, 1};
    std::byte* data = shared_->bytes().data() + taken_;
    taken_ += rounded;
    return {{shared_, data}, part_, parts_};
}

}  // namespace muster::cpu
