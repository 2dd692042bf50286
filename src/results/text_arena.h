#pragma once
// Memory for the strings that one H5Dread returns, all freed at once, never more than a limit. A
// file may refer to the same stored string a million times; the limit keeps such a file from
// filling the memory.

#include <cstddef>
#include <memory>
#include <vector>

#include "hdf5_api.h"

namespace muster {

class TextArena {
 public:
    explicit TextArena(std::size_t limit) : left_(limit) {}
    TextArena(const TextArena&) = delete;
    TextArena& operator=(const TextArena&) = delete;

    /// A transfer property list that makes HDF5 allocate strings here.
    Handle make_transfer_list();
    /// True if a read failed because the strings did not fit the limit.
    bool exhausted() const { return exhausted_; }

 private:
    static void* allocate(std::size_t bytes, void* arena);
    static void release(void* /*memory*/, void* /*arena*/) {}
    void* take(std::size_t bytes);

    std::size_t left_;
    bool exhausted_ = false;
    std::vector<std::unique_ptr<char[]>> blocks_;
    char* next_ = nullptr;
    std::size_t room_ = 0;
};

}  // namespace muster
