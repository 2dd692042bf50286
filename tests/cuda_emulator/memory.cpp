// Device memory: one range of addresses that the host may not touch, handed out first fit in blocks
// of a multiple of 512 bytes. All devices share it.

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <map>

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
    cudaDeviceSynchronize();
    Region& r = region();
    r.extents = nullptr;
    return r.blocks.erase(r.offset(pointer)) == 1 ? cudaSuccess : failed(cudaErrorInvalidValue);
}
cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
    *pointer = std::malloc(bytes);
    return *pointer != nullptr ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* pointer) {
    cudaDeviceSynchronize();  // as cudaFree, it waits for what may still use the memory
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
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
    return enqueue(stream, [=] { std::memcpy(to, from, bytes); });
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    cudaMemcpyAsync(to, from, bytes, kind, nullptr);
    return cudaStreamSynchronize(nullptr);
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind, cudaStream_t stream) {
    if (width > to_pitch || width > from_pitch) return failed(cudaErrorInvalidValue);
    return enqueue(stream, [=] {
        for (std::size_t row = 0; row < height; ++row)
            std::memcpy(static_cast<char*>(to) + row * to_pitch,
                        static_cast<const char*>(from) + row * from_pitch, width);
    });
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
    return enqueue(stream, [=] { std::memset(to, value, bytes); });
}
