#include "cuda/arena.h"

#include <cuda_runtime.h>

#include <map>

#include "cuda/check.h"
#include "cuda/sizes.h"
#include "cuda/wait.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

struct Arena::State {
    char* base = nullptr;
    std::uint64_t capacity = 0, used = 0, count = 0;
    std::map<std::uint64_t, std::uint64_t> blocks;  ///< offset → bytes
    std::function<void(std::uint64_t)> listener;

    ~State() {
        if (base != nullptr && !device_is_lost()) (void)cudaFree(base);  // waits for the device
    }

    /// Calls take(offset, bytes) for every gap in ascending order until it returns true.
    template <typename Take>
    void for_gaps(const Take& take) const {
        std::uint64_t at = 0;
        for (const auto& [begin, bytes] : blocks) {
            if (begin > at && take(at, begin - at)) return;
            at = begin + bytes;
        }
        if (at < capacity) take(at, capacity - at);
    }
    std::uint64_t largest_free() const {
        std::uint64_t largest = 0;
        for_gaps([&](std::uint64_t, std::uint64_t bytes) {
            largest = std::max(largest, bytes);
            return false;
        });
        return largest;
    }
};

Arena::Arena(std::uint64_t bytes) : state_(std::make_shared<State>()) {
    bytes = bytes / kBlockBytes * kBlockBytes;
    if (bytes == 0)
        throw UserError(
            "CUDA: no device memory was granted; expected at least the model's weights");
    void* base = nullptr;
    const cudaError_t status = cudaMalloc(&base, bytes);
    if (status == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        std::size_t free_bytes = 0, total_bytes = 0;
        check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
        throw UserError(cat("CUDA: ", format_bytes(bytes), " of device memory are wanted, ",
                            format_bytes(free_bytes), " of ", format_bytes(total_bytes),
                            " are free; expected at least that: is the device shared? A smaller "
                            "--gpu-memory-fraction or a larger --tp takes less"));
    }
    check(status, "cudaMalloc");
    state_->base = static_cast<char*>(base);
    state_->capacity = bytes;
}

Arena::~Arena() {
    state_->listener = nullptr;
}

std::shared_ptr<void> Arena::allocate(std::uint64_t bytes) {
    State& s = *state_;
    const std::uint64_t size = block_bytes(bytes);
    std::uint64_t found = s.capacity;
    if (size >= bytes) {
        s.for_gaps([&](std::uint64_t at, std::uint64_t gap) {
            if (gap >= size) found = at;
            return gap >= size;
        });
    }
    if (found == s.capacity) {
        throw SystemError(cat("out of device memory: ", format_bytes(bytes), " are wanted, of ",
                              format_bytes(s.capacity), " granted ", format_bytes(s.used),
                              " are in use and at most ", format_bytes(s.largest_free()),
                              " are free in one piece"));
    }
    s.blocks.emplace(found, size);
    s.used += size;
    const std::uint64_t number = s.count++;
    return {s.base + found, [state = state_, found, number](void*) {
                const auto block = state->blocks.find(found);
                state->used -= block->second;
                state->blocks.erase(block);
                if (state->listener) state->listener(number);
            }};
}

std::uint64_t Arena::capacity() const {
    return state_->capacity;
}
std::uint64_t Arena::used() const {
    return state_->used;
}
std::uint64_t Arena::largest_free() const {
    return state_->largest_free();
}
std::uint64_t Arena::count() const {
    return state_->count;
}
void Arena::on_free(std::function<void(std::uint64_t)> listener) {
    state_->listener = std::move(listener);
}

}  // namespace muster::cuda
