#include "cuda/staging.h"

#include <algorithm>
#include <cstring>

#include "cuda/check.h"
#include "cuda/wait.h"
#include "muster/base/error.h"

namespace muster::cuda {

Staging::Staging(cudaStream_t stream, GroupCopies* group, double deadline_seconds)
    : stream_(stream), group_(group), deadline_seconds_(deadline_seconds) {
    for (Half& half : halves_) {
        void* memory = nullptr;
        check(cudaMallocHost(&memory, kHalfBytes), "cudaMallocHost");
        half.memory = static_cast<std::byte*>(memory);
        check(cudaEventCreateWithFlags(&half.copied, cudaEventDisableTiming),
              "cudaEventCreateWithFlags");
    }
}

Staging::~Staging() {
    if (device_is_lost()) return;  // freeing waits for the device
    for (Half& half : halves_) {
        if (half.copied != nullptr) (void)cudaEventDestroy(half.copied);
        if (half.memory != nullptr) (void)cudaFreeHost(half.memory);
    }
}

void Staging::turn() {
    check(cudaEventRecord(halves_[current_].copied, stream_), "cudaEventRecord");
    current_ = 1 - current_;
    used_ = 0;
    wait_for(halves_[current_].copied, group_, deadline_seconds_, "a copy to the device");
}

std::byte* Staging::take(std::size_t bytes) {
    constexpr std::size_t kAlignment = 64;
    if (bytes > kHalfBytes) throw InternalError("a piece does not fit the staging memory");
    if (bytes > kHalfBytes - used_) turn();
    std::byte* at = halves_[current_].memory + used_;
    used_ = std::min(kHalfBytes, used_ + (bytes + kAlignment - 1) / kAlignment * kAlignment);
    return at;
}

void Staging::upload(void* to, std::size_t bytes, std::size_t unit, const Fill& fill) {
    const std::size_t piece = kHalfBytes / unit * unit;
    for (std::size_t offset = 0; offset < bytes; offset += piece) {
        const std::size_t n = std::min(piece, bytes - offset);
        std::byte* memory = take(n);
        fill(memory, offset, n);
        check(cudaMemcpyAsync(static_cast<std::byte*>(to) + offset, memory, n,
                              cudaMemcpyHostToDevice, stream_),
              "cudaMemcpyAsync to the device");
    }
}

void Staging::upload(void* to, const void* from, std::size_t bytes) {
    upload(to, bytes, 1, [from](std::byte* memory, std::size_t offset, std::size_t n) {
        std::memcpy(memory, static_cast<const std::byte*>(from) + offset, n);
    });
}

void Staging::download(void* to, const void* from, std::size_t bytes) {
    for (std::size_t offset = 0; offset < bytes; offset += kHalfBytes) {
        const std::size_t n = std::min(kHalfBytes, bytes - offset);
        std::byte* memory = take(n);
        check(cudaMemcpyAsync(memory, static_cast<const std::byte*>(from) + offset, n,
                              cudaMemcpyDeviceToHost, stream_),
              "cudaMemcpyAsync from the device");
        wait_for(stream_, group_, deadline_seconds_, "a step on the device");
        std::memcpy(static_cast<std::byte*>(to) + offset, memory, n);
    }
}

}  // namespace muster::cuda
