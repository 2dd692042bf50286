// What GCC's -fsanitize=thread calls for accesses to memory, without the library that usually
// answers: see races.h. The names and what they stand for are those of GCC's gcc/tsan.cc and
// sanitizer.def.

#include <cstddef>

#include "races.h"

using emulator::races::reads;
using emulator::races::writes;

extern "C" {

void __tsan_init() {
    emulator::races::on = true;
}

#define MUSTER_WATCHED(bytes)                      \
    void __tsan_read##bytes(void* at) {            \
        reads(at, bytes);                          \
    }                                              \
    void __tsan_write##bytes(void* at) {           \
        writes(at, bytes);                         \
    }                                              \
    void __tsan_unaligned_read##bytes(void* at) {  \
        reads(at, bytes);                          \
    }                                              \
    void __tsan_unaligned_write##bytes(void* at) { \
        writes(at, bytes);                         \
    }
MUSTER_WATCHED(1)
MUSTER_WATCHED(2)
MUSTER_WATCHED(4)
MUSTER_WATCHED(8)
MUSTER_WATCHED(16)
#undef MUSTER_WATCHED

void __tsan_read_range(void* at, std::size_t bytes) {
    reads(at, bytes);
}
void __tsan_write_range(void* at, std::size_t bytes) {
    writes(at, bytes);
}

// The host's part of a source: tables of virtual functions, and static variables that are made
// once.
void __tsan_vptr_update(void*, void*) {}
char __tsan_atomic8_load(const volatile char* at, int) {
    return *at;
}

}  // extern "C"
