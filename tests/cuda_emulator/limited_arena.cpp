// Kernels may touch what the backend's arena has handed out and nothing else of it. The linker
// (--wrap) puts this in front of the arena's own function.

#include "cuda/arena.h"

#include <cuda_runtime.h>

namespace muster::cuda {

/// The names that the linker gives: Arena::allocate itself, and what is called in its place. A
/// member function is called as one whose first argument is the object.
std::shared_ptr<void> allocate(Arena* arena,
                               std::uint64_t bytes) asm("__real__ZN6muster4cuda5Arena8allocateEm");
std::shared_ptr<void> allocate_limited(Arena* arena, std::uint64_t bytes) asm(
    "__wrap__ZN6muster4cuda5Arena8allocateEm");

std::shared_ptr<void> allocate_limited(Arena* arena, std::uint64_t bytes) {
    std::shared_ptr<void> block = allocate(arena, bytes);
    void* const at = block.get();
    emulator::hand_out(at, bytes, true);
    return {at, [block = std::move(block), bytes](void* begin) mutable {
                emulator::hand_out(begin, bytes, false);
                block.reset();
            }};
}

}  // namespace muster::cuda
