#pragma once
// What is remembered of each byte that kernels touch: its last write, and who has read it since.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace emulator::races {

/// Grows with every launch, block, barrier and __syncwarp; 0: never.
using Tick = std::uint32_t;

enum class Write : std::uint8_t {
    plain,
    atomic,
    atomics,  ///< by several threads that nothing orders
    copying,  ///< an asynchronous copy is under way
};

/// All reads that a later write might not be ordered behind are represented: those of one warp,
/// and one more of another warp or block.
struct Byte {
    Tick written = 0, read = 0, other = 0;
    std::uint32_t lanes = 0;    ///< of the warp that read
    std::uint16_t writer = 0;   ///< threads
    std::uint16_t another = 0;  ///< that read before at `other`; or did, of several atomics, one
    std::uint8_t warp = 0;      ///< that read
    Write kind = Write::plain;
};

/// Bytes of a range of addresses, made where they are first asked for.
class Shadow {
 public:
    Shadow() = default;
    Shadow(const void* begin, std::size_t bytes)
        : begin_(reinterpret_cast<std::uintptr_t>(begin)),
          bytes_(bytes),
          pages_((bytes + kPage - 1) / kPage) {}

    bool has(std::uintptr_t at) const { return at - begin_ < bytes_; }
    std::size_t offset(std::uintptr_t at) const { return at - begin_; }

    /// Calls visit(byte, its address) for bytes [at, at + count), or as many as there are.
    template <typename Visit>
    void each(std::uintptr_t at, std::size_t count, const Visit& visit) {
        while (count > 0 && has(at)) {
            const std::size_t first = offset(at) % kPage,
                              n = count < kPage - first ? count : kPage - first;
            std::unique_ptr<Byte[]>& page = pages_[offset(at) / kPage];
            if (page == nullptr) {
                page = std::make_unique<Byte[]>(kPage);
                ++made_;
            }
            Byte* const bytes = page.get() + first;
            for (std::size_t i = 0; i < n; ++i) visit(bytes[i], at + i);
            at += n;
            count -= n;
        }
    }
    /// For when nothing of it is of use any more.
    void forget_if_large() {
        if (made_ < kLarge) return;
        for (std::unique_ptr<Byte[]>& page : pages_) page.reset();
        made_ = 0;
    }

 private:
    static constexpr std::size_t kPage = 4096, kLarge = 2048;
    std::uintptr_t begin_ = 0;
    std::size_t bytes_ = 0, made_ = 0;
    std::vector<std::unique_ptr<Byte[]>> pages_;
};

}  // namespace emulator::races
