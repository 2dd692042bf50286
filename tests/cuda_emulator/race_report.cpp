#include "race_report.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "symbols.h"

namespace emulator::races {
namespace {

struct Block {
    Tick began;
    uint3 index;
};
struct Running {
    Launch launch;
    std::vector<Block> blocks;  ///< of this launch so far
    unsigned barriers = 0;      ///< of the running block so far
};
Running& running() {
    static auto* const made = new Running;
    return *made;
}

template <typename... Parts>
std::string text(const char* format, Parts... parts) {
    char buffer[512];
    std::snprintf(buffer, sizeof buffer, format, parts...);
    return buffer;
}
std::string name_of_thread(unsigned number) {
    return text("thread %u (lane %u of warp %u)", number, number % 32, number / 32);
}
std::string name_of_block(const uint3& index) {
    return text("block (%u, %u, %u)", index.x, index.y, index.z);
}

std::string place(std::uintptr_t at) {
    const auto address = [](const unsigned char* pointer) {
        return reinterpret_cast<std::uintptr_t>(pointer);
    };
    const Launch& launch = running().launch;
    const std::size_t in_shared = at - address(dynamic_shared());
    if (in_shared < kMaxShared)
        return text("shared memory, byte %zu of %zu", in_shared, launch.shared_bytes);
    if (at - address(device_memory()) < kDeviceBytes) {
        const auto behind = std::upper_bound(
            launch.extents->begin(), launch.extents->end(), at,
            [&](std::uintptr_t a, const Extent& e) { return a < address(e.begin); });
        if (behind == launch.extents->begin()) return "device memory before all that is allocated";
        const Extent& e = *std::prev(behind);
        const auto size = static_cast<std::size_t>(e.end - e.begin);
        if (at < address(e.end))
            return text("device memory, byte %zu of %zu", at - address(e.begin), size);
        return text("device memory, %zu bytes behind the end of %zu", at - address(e.end), size);
    }
    const NamedPlace variable = variable_at(at);
    if (variable.name.empty()) return text("address 0x%zx", static_cast<std::size_t>(at));
    return text("shared variable %s, byte %zu of %zu", variable.name.c_str(), variable.offset,
                variable.bytes);
}

const char* present(Did did) {
    return did == Did::reads    ? "reads"
           : did == Did::writes ? "writes"
           : did == Did::adds   ? "changes atomically"
                                : "starts an asynchronous copy to";
}
const char* past(Did did) {
    return did == Did::reads  ? "has read"
           : did == Did::adds ? "has changed atomically"
                              : "has written";
}

/// From here on the thread's accesses are ours: the library's functions may be those that this
/// program has compiled with its kernels.
unsigned running_number() {
    return std::exchange(running_thread, nullptr)->number;
}
[[noreturn]] void tell(unsigned me, const Access& access, const std::string& what) {
    const unsigned barriers = running().barriers;
    fail((name_of_function(running().launch.kernel) + ": " + name_of_thread(me) + ", after " +
          std::to_string(barriers) + (barriers == 1 ? " barrier" : " barriers") +
          " of its block, " + present(access.did) + " " + place(access.at) + ", " + what)
             .c_str());
}

}  // namespace

void note_launch(const Launch& launch) {
    running().launch = launch;
    running().blocks.clear();
    // For tests that want to know which kernels they have run.
    static const char* const path = std::getenv("EMULATED_LAUNCHES");
    if (path == nullptr) return;
    static std::FILE* const file = std::fopen(path, "w");
    if (file == nullptr) fail("EMULATED_LAUNCHES names a file that cannot be written");
    static std::set<const void*> known;
    if (!known.insert(launch.kernel).second) return;
    std::fprintf(file, "%s\n", name_of_function(launch.kernel).c_str());
    std::fflush(file);
}
void note_block(Tick began) {
    running().blocks.push_back({began, blockIdx});
    running().barriers = 0;
}
void note_barrier() {
    ++running().barriers;
}

void report(const Access& access, const char* what) {
    tell(running_number(), access, what);
}

void report_race(const Access& access, Did other_did, unsigned other, Tick then) {
    const unsigned me = running_number();
    const auto& blocks = running().blocks;
    if (then < blocks.back().began) {
        const auto behind =
            std::upper_bound(blocks.begin(), blocks.end(), then,
                             [](Tick tick, const Block& block) { return tick < block.began; });
        tell(me, access,
             "which " + name_of_thread(other) + " of " + name_of_block(std::prev(behind)->index) +
                 " " + past(other_did) + ": a race, since nothing orders blocks of a launch");
    }
    const bool same_warp = other / 32 == me / 32;
    tell(me, access,
         "which " + name_of_thread(other) + " " + past(other_did) +
             ": a race, since no __syncthreads" + (same_warp ? " or __syncwarp" : "") +
             " is between them");
}

void report_copy(const Access& access, unsigned copier) {
    const unsigned me = running_number();
    tell(me, access,
         "where an asynchronous copy of " + name_of_thread(copier) +
             " is under way: it has not waited for it");
}

void report_outside(const Access& access) {
    report(access, access.shared ? "which is more than the launch has" : "which is not allocated");
}

}  // namespace emulator::races
