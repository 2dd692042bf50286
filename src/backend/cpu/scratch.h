#pragma once
// Memory that an operation needs while it runs, kept for its next call.

#include <cstdint>
#include <memory>

#include "cpu/cpu_matrix.h"

namespace muster::cpu {

class Scratch {
 public:
    /// At least `count` floats, 64-byte aligned; earlier contents are lost.
    float* floats(std::int64_t count) {
        if (count > size_) {
            memory_.reset();
            memory_ = allocate_aligned(static_cast<std::uint64_t>(count) * sizeof(float));
            size_ = count;
        }
        return reinterpret_cast<float*>(memory_.get());
    }

 private:
    std::int64_t size_ = 0;
    std::shared_ptr<std::byte> memory_;
};

}  // namespace muster::cpu
