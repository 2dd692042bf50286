#include "text_arena.h"

#include <algorithm>
#include <new>

namespace muster {

Handle TextArena::make_transfer_list() {
    Handle list(check_hdf5(H5Pcreate(H5P_DATASET_XFER), "H5Pcreate"), H5Pclose);
    check_hdf5(H5Pset_vlen_mem_manager(list, allocate, this, release, this),
               "H5Pset_vlen_mem_manager");
    return list;
}

void* TextArena::allocate(std::size_t bytes, void* arena) {
    try {
        return static_cast<TextArena*>(arena)->take(bytes);
    } catch (const std::bad_alloc&) {
        return nullptr;  // HDF5 reports it
    }
}

void* TextArena::take(std::size_t bytes) {
    if (bytes > left_) {
        exhausted_ = true;
        return nullptr;
    }
    left_ -= bytes;
    if (bytes > room_) {
        room_ = std::max(bytes, std::size_t{1} << 20);
        blocks_.push_back(std::make_unique_for_overwrite<char[]>(room_));
        next_ = blocks_.back().get();
    }
    char* const memory = next_;
    next_ += bytes;
    room_ -= bytes;
    return memory;
}

}  // namespace muster
