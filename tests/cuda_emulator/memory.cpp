// Device memory: one range of addresses that the host may not touch, handed out first fit in blocks
// of a multiple of 512 bytes. All devices share it. Pinned memory is the host's, and remembered.

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "parts.h"

namespace emulator {
namespace {

struct Block {
    std::size_t size;                            ///< from its offset to where the next one may be
    std::size_t bytes;                           ///< that were asked for
    std::map<std::size_t, std::size_t> parts{};  ///< handed out, by offset
    bool cut_up = false;                         ///< only its parts may be touched
};
struct Region {
    unsigned char* base = nullptr;
    std::size_t used = 0;  ///< bytes up to the end of the last allocation
    std::map<std::size_t, Block> blocks;
    Extents extents;  ///< of the blocks; null: to be made

    std::size_t offset(const void* at) const {
        return static_cast<std::size_t>(static_cast<const unsigned char*>(at) - base);
    }
};
Region& region() {
    static Region* made = [] {
        auto* r = new Region;
        void* base = mmap(nullptr, kDeviceBytes, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED) fail("no address space for the device's memory");
        r->base = static_cast<unsigned char*>(base);
        return r;
    }();
    return *made;
}

std::map<const char*, std::size_t>& pinned() {
    static std::map<const char*, std::size_t> ranges;
    return ranges;
}

enum class Place { device, pinned, pageable, nowhere };

/// Where [at, at + bytes) is; nowhere if it begins in an allocation that does not hold all of it,
/// or on the device and in none.
Place place_of(const void* pointer, std::size_t bytes) {
    const auto* at = static_cast<const char*>(pointer);
    const auto holds = [&](const char* begin, std::size_t length) {
        return at >= begin && at + bytes <= begin + length;
    };
    const Region& r = region();
    const auto* base = reinterpret_cast<const char*>(r.base);
    if (at >= base && at < base + kDeviceBytes) {
        const auto after = r.blocks.upper_bound(static_cast<std::size_t>(at - base));
        if (after == r.blocks.begin()) return Place::nowhere;
        const auto& [begin, block] = *std::prev(after);
        return holds(base + begin, block.bytes) ? Place::device : Place::nowhere;
    }
    const auto after = pinned().upper_bound(at);
    if (after == pinned().begin()) return Place::pageable;
    const auto& [begin, length] = *std::prev(after);
    if (at >= begin + length) return Place::pageable;
    return holds(begin, length) ? Place::pinned : Place::nowhere;
}

/// Rows of bytes, `pitch` apart.
struct Rows {
    const void* at;
    std::size_t pitch, width, height;

    Place place() const { return place_of(at, (height - 1) * pitch + width); }
    char* row(std::size_t i) const {
        return const_cast<char*>(static_cast<const char*>(at)) + i * pitch;
    }
};
void copy(const Rows& to, const Rows& from) {
    if (to.place() == Place::nowhere || from.place() == Place::nowhere)
        fail("a copy of memory that has been freed");
    for (std::size_t i = 0; i < to.height; ++i) std::memcpy(to.row(i), from.row(i), to.width);
}

bool goes(cudaMemcpyKind kind, Place to, Place from) {
    if (to == Place::nowhere || from == Place::nowhere) return false;
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    return kind == cudaMemcpyDefault ||
           (to_device == (to == Place::device) && from_device == (from == Place::device));
}

// Memory that is not pinned: the driver waits for the stream before it takes what is there, and
// returns after it has delivered ("API synchronization behavior", CUDA runtime API, which says "may
// be" of some of it). Recorded, such a copy would happen to work or not.
cudaError_t copy_async(const Rows& to, const Rows& from, cudaMemcpyKind kind, cudaStream_t stream) {
    if (to.width == 0 || to.height == 0) return cudaSuccess;
    const Place to_place = to.place(), from_place = from.place();
    if (!goes(kind, to_place, from_place)) return failed(cudaErrorInvalidValue);
    if (to_place != Place::pageable && from_place != Place::pageable)
        return enqueue(stream, [=] { copy(to, from); });
    if (is_captured(stream)) {
        lose_capture(stream);
        return failed(cudaErrorStreamCaptureUnsupported);
    }
    constexpr const char* kWho = "a copy of memory that is not pinned";
    drain(stream, kWho);
    if (to_place == Place::pageable) {
        const cudaError_t status = enqueue(stream, [=] { copy(to, from); });
        drain(stream, kWho);
        return status;
    }
    std::vector<char> taken(to.width * to.height);
    for (std::size_t i = 0; i < to.height; ++i)
        std::memcpy(&taken[i * to.width], from.row(i), to.width);
    return enqueue(stream, [to, taken = std::move(taken)] {
        copy(to, {taken.data(), to.width, to.width, to.height});
    });
}

}  // namespace

void open_memory(bool open) {
    Region& r = region();
    if (r.used > 0 && mprotect(r.base, r.used, open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0)
        fail("mprotect of the device's memory");
}

const unsigned char* device_memory() {
    return region().base;
}

Extents live_extents() {
    Region& r = region();
    if (r.extents == nullptr) {
        std::vector<Extent> all;
        for (const auto& [begin, block] : r.blocks) {
            if (!block.cut_up) all.push_back({r.base + begin, r.base + begin + block.bytes});
            for (const auto& [at, bytes] : block.parts)
                all.push_back({r.base + at, r.base + at + bytes});
        }
        r.extents = std::make_shared<const std::vector<Extent>>(std::move(all));
    }
    return r.extents;
}

void hand_out(const void* begin, std::size_t bytes, bool out) {
    Region& r = region();
    const std::size_t at = r.offset(begin);
    const auto behind = r.blocks.upper_bound(at);
    if (behind == r.blocks.begin()) fail("memory is handed out that is not allocated");
    Block& block = std::prev(behind)->second;
    block.cut_up = true;
    if (out)
        block.parts[at] = bytes;
    else
        block.parts.erase(at);
    r.extents = nullptr;
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
    if (breaks_capture()) return failed(cudaErrorStreamCaptureUnsupported);
    Region& r = region();
    const std::size_t size = (std::max<std::size_t>(bytes, 1) + 511) / 512 * 512;
    std::size_t at = 0;
    for (const auto& [begin, block] : r.blocks) {
        if (begin - at >= size) break;
        at = begin + block.size;
    }
    if (at + size > kDeviceBytes) return failed(cudaErrorMemoryAllocation);
    r.blocks[at] = {size, bytes};
    r.extents = nullptr;
    r.used = std::max(r.used, (at + size + 4095) / 4096 * 4096);
    open_memory(true);
    if (size <= std::size_t{64} << 20) std::memset(r.base + at, 0xff, size);
    if (!running_operations()) open_memory(false);
    *pointer = r.base + at;
    return cudaSuccess;
}
cudaError_t cudaFree(void* pointer) {
    if (pointer == nullptr) return cudaSuccess;
    if (const cudaError_t error = cudaDeviceSynchronize()) return error;
    Region& r = region();
    r.extents = nullptr;
    return r.blocks.erase(r.offset(pointer)) == 1 ? cudaSuccess : failed(cudaErrorInvalidValue);
}
cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
    if (breaks_capture()) return failed(cudaErrorStreamCaptureUnsupported);
    *pointer = std::malloc(bytes);
    if (*pointer == nullptr) return failed(cudaErrorMemoryAllocation);
    pinned()[static_cast<const char*>(*pointer)] = bytes;
    return cudaSuccess;
}
cudaError_t cudaFreeHost(void* pointer) {
    if (pointer == nullptr) return cudaSuccess;
    // As cudaFree, it waits for what may still use the memory.
    if (const cudaError_t error = cudaDeviceSynchronize()) return error;
    if (pinned().erase(static_cast<const char*>(pointer)) == 0)
        return failed(cudaErrorInvalidValue);
    std::free(pointer);
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
    std::size_t used = 0;
    for (const auto& [begin, block] : region().blocks) used += block.size;
    *total_bytes = kDeviceBytes;
    *free_bytes = kDeviceBytes - used;
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
    return copy_async({to, bytes, bytes, 1}, {from, bytes, bytes, 1}, kind, stream);
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    if (breaks_capture()) return failed(cudaErrorStreamCaptureUnsupported);
    if (bytes == 0) return cudaSuccess;
    const Rows target{to, bytes, bytes, 1}, source{from, bytes, bytes, 1};
    if (!goes(kind, target.place(), source.place())) return failed(cudaErrorInvalidValue);
    enqueue(nullptr, [=] { copy(target, source); });
    return cudaStreamSynchronize(nullptr);
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
    if (width > to_pitch || width > from_pitch) return failed(cudaErrorInvalidValue);
    return copy_async({to, to_pitch, width, height}, {from, from_pitch, width, height}, kind,
                      stream);
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
    if (bytes == 0) return cudaSuccess;
    if (place_of(to, bytes) != Place::device) return failed(cudaErrorInvalidValue);
    return enqueue(stream, [=] {
        if (place_of(to, bytes) != Place::device) fail("cudaMemset of memory that has been freed");
        std::memset(to, value, bytes);
    });
}
