#pragma once
// How a finding is told.

#include "parts.h"
#include "shadow.h"

namespace emulator::races {

enum class Did { reads, writes, adds, copies };

struct Access {
    Did did;
    std::uintptr_t at;
    bool shared;          ///< memory of the block
    std::uint32_t lanes;  ///< of the warp, that read
};

/// What reports name places and blocks by.
void note_launch(const Launch& launch);
void note_block(Tick began);
void note_barrier();

/// Each ends the process.
[[noreturn]] void report(const Access& access, const char* what);
[[noreturn]] void report_race(const Access& access, Did other_did, unsigned other, Tick then);
[[noreturn]] void report_copy(const Access& access, unsigned copier);
[[noreturn]] void report_outside(const Access& access);

}  // namespace emulator::races
