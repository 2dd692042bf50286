#pragma once
// All of the device memory that one backend uses, taken at once when it is made, so that there is
// no later moment at which the device can run out.

#include <cstdint>
#include <functional>
#include <memory>

namespace muster::cuda {

class Arena {
 public:
    /// Throws UserError, with what is free, if the device does not have so much.
    explicit Arena(std::uint64_t bytes);
    ~Arena();

    /// At least `bytes`, aligned to kBlockBytes, at the first place that has room. Uninitialised.
    /// Freed with the last handle, which may outlive the arena. Freed memory may be handed out
    /// while the device is still using it: whoever uses it next does so on the same stream, behind.
    /// Throws SystemError saying what is free.
    std::shared_ptr<void> allocate(std::uint64_t bytes);

    std::uint64_t capacity() const;
    std::uint64_t used() const;
    std::uint64_t largest_free() const;
    /// Blocks handed out so far: a block's number is the count before it.
    std::uint64_t count() const;
    /// Called with the number of each block that is freed, as long as the arena lives.
    void on_free(std::function<void(std::uint64_t)> listener);

 private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace muster::cuda
