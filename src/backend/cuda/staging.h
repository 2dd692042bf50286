#pragma once
// Host memory that the device can reach, through which everything travels between host and device.
// Two halves take turns: while one is copied, the other is filled.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <functional>

#include "cuda/group_copies.h"

namespace muster::cuda {

class Staging {
 public:
    static constexpr std::size_t kHalfBytes = std::size_t{8} << 20;

    /// Nothing is waited for longer than `deadline_seconds`; `group`, null for a group of one, is
    /// asked for failures meanwhile, since its copies may be in front on the stream.
    Staging(cudaStream_t stream, GroupCopies* group, double deadline_seconds);
    ~Staging();
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;

    /// Writes bytes [offset, offset + n) of what is uploaded to `to`.
    using Fill = std::function<void(std::byte* to, std::size_t offset, std::size_t n)>;

    /// Device memory `to` [bytes] ← host memory, in stream order; `from` may change at once.
    void upload(void* to, const void* from, std::size_t bytes);
    /// The same from what `fill` makes, in pieces of a multiple of `unit` bytes (at most
    /// kHalfBytes).
    void upload(void* to, std::size_t bytes, std::size_t unit, const Fill& fill);
    /// Host memory `to` ← device memory; waits.
    void download(void* to, const void* from, std::size_t bytes);

 private:
    struct Half {
        std::byte* memory = nullptr;
        cudaEvent_t copied = nullptr;  ///< recorded behind the last copy out of it
    };
    /// Room for `bytes` in one piece of the current half, or in the other one if it is full.
    std::byte* take(std::size_t bytes);
    void turn();

    cudaStream_t stream_;
    GroupCopies* group_;
    double deadline_seconds_;
    Half halves_[2];
    int current_ = 0;
    std::size_t used_ = 0;  ///< of the current half
};

}  // namespace muster::cuda
