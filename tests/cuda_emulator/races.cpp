#include "races.h"

#include <link.h>

#include <algorithm>

#include "race_report.h"
#include "shadow.h"

namespace emulator::races {

bool on = false;

namespace {

Tick now = 0, launch_began = 0, block_began = 0, barrier = 0;

/// knows[t][l]: thread t is ordered behind what lane l of its warp did before this tick.
std::uint32_t knows[1024][32];

struct Memory {
    Shadow device, dynamic, fixed;  ///< `fixed`: the program's variables, those that kernels share
    std::vector<Extent> constants;  ///< what the program may only read
    Launch launch;
    Extent last{};  ///< of the launch's: most accesses are to where another was
};

int add_segments(dl_phdr_info* info, std::size_t, void* to) {
    Memory& m = *static_cast<Memory*>(to);
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr)& segment = info->dlpi_phdr[i];
        if (segment.p_type != PT_LOAD) continue;
        const auto* begin =
            reinterpret_cast<const unsigned char*>(info->dlpi_addr + segment.p_vaddr);
        if ((segment.p_flags & PF_W) != 0)
            m.fixed = Shadow(begin, segment.p_memsz);
        else
            m.constants.push_back({begin, begin + segment.p_memsz});
    }
    return 1;  // the program comes first, and kernels are nowhere else
}
Memory& memory() {
    static Memory* const made = [] {
        auto* m = new Memory;
        m->device = Shadow(device_memory(), kDeviceBytes);
        m->dynamic = Shadow(dynamic_shared(), kMaxShared);
        dl_iterate_phdr(add_segments, m);
        return m;
    }();
    return *made;
}

/// Whether what `thread` did at `then`, in this launch, comes before what the running one does.
bool ordered(unsigned thread, Tick then) {
    if (then < block_began) return false;
    if (then < barrier) return true;
    const unsigned me = running_thread->number;
    return thread == me || (thread / 32 == me / 32 && knows[me][thread % 32] > then);
}
bool all_ordered(const Byte& b) {
    if (b.read < block_began) return false;
    if (b.read < barrier) return true;
    const unsigned me = running_thread->number;
    if (b.warp != me / 32) return false;
    for (unsigned lane = 0; lane < 32; ++lane)
        if ((b.lanes >> lane & 1u) != 0 && !ordered(b.warp * 32u + lane, b.read)) return false;
    return true;
}
/// Any one of the readers behind which the running thread is not ordered.
unsigned reader_of(const Byte& b) {
    for (unsigned lane = 0; lane < 32; ++lane)
        if ((b.lanes >> lane & 1u) != 0 && !ordered(b.warp * 32u + lane, b.read))
            return b.warp * 32u + lane;
    return b.warp * 32u;
}

/// What a read must not find, and `since`: what came before is forgotten.
void check_read(const Byte& b, const Access& a, Tick since) {
    if (b.written < since) {
        if (a.shared) report(a, "which no thread of its block has written yet");
        return;
    }
    if (b.kind == Write::copying) report_copy(a, b.writer);
    if (b.kind == Write::atomics && a.did != Did::adds && !ordered(b.another, b.other))
        report_race(a, Did::adds, b.another, b.other);
    if (a.did == Did::adds && b.kind != Write::plain) return;
    const Did did = b.kind == Write::plain ? Did::writes : Did::adds;
    if (!ordered(b.writer, b.written)) report_race(a, did, b.writer, b.written);
    // A warp that reads together: every lane has to be ordered behind the writer.
    if ((a.lanes & (a.lanes - 1)) == 0 || b.written < barrier) return;
    const unsigned warp = running_thread->number / 32 * 32;
    for (unsigned lane = 0; lane < 32; ++lane)
        if (warp + lane != b.writer && knows[warp + lane][b.writer % 32] <= b.written)
            report_race(a, did, b.writer, b.written);
}
void note_read(Byte& b, const Access& a, Tick since) {
    const auto warp = static_cast<std::uint8_t>(running_thread->number / 32);
    if (b.read >= barrier && b.warp == warp) {
        if (b.read != now && all_ordered(b)) b.lanes = 0;
        b.lanes |= a.lanes;
    } else {
        const bool of_earlier_block = b.other >= since && b.other < block_began;
        if (b.read >= since && !of_earlier_block && b.kind != Write::atomics) {
            b.another = static_cast<std::uint16_t>(reader_of(b));
            b.other = b.read;
        }
        b.warp = warp;
        b.lanes = a.lanes;
    }
    b.read = now;
    if (b.kind == Write::atomics && b.written < barrier) {  // all of the block are behind them
        b.kind = Write::atomic;
        b.other = 0;
    }
}

void check_write(const Byte& b, const Access& a, Tick since) {
    if (b.written >= since) {
        if (b.kind == Write::copying) report_copy(a, b.writer);
        const bool both_atomic = a.did == Did::adds && b.kind != Write::plain;
        if (!both_atomic && !ordered(b.writer, b.written))
            report_race(a, b.kind == Write::plain ? Did::writes : Did::adds, b.writer, b.written);
        if (b.kind == Write::atomics && a.did != Did::adds && !ordered(b.another, b.other))
            report_race(a, Did::adds, b.another, b.other);
    }
    if (b.read >= since && !all_ordered(b)) report_race(a, Did::reads, reader_of(b), b.read);
    if (b.kind != Write::atomics && b.other >= since && !ordered(b.another, b.other))
        report_race(a, Did::reads, b.another, b.other);
}
/// Whether the last write is the running thread's own, and it has met nobody since: for all others
/// it is as if it were done now.
bool just_written(const Byte& b) {
    const unsigned me = running_thread->number;
    return b.writer == me && b.written >= std::max(barrier, knows[me][me % 32]);
}
void note_write(Byte& b, const Access& a, Tick since) {
    if (a.did != Did::adds) {
        b.kind = a.did == Did::copies ? Write::copying : Write::plain;
        b.read = b.other = 0;
    } else if (b.written < since) {
        b.kind = Write::atomic;
    } else if (b.kind != Write::plain && !ordered(b.writer, b.written)) {
        b.kind = Write::atomics;
        b.another = b.writer;
        b.other = b.written;
    } else if (b.kind == Write::atomics ? ordered(b.another, b.other) : !just_written(b)) {
        b.kind = Write::atomic;
        b.other = 0;
    }
    b.writer = static_cast<std::uint16_t>(running_thread->number);
    b.written = now;
}

bool is_index(std::uintptr_t at) {
    const auto in = [&](const auto& variable) {
        return at - reinterpret_cast<std::uintptr_t>(&variable) < sizeof(variable);
    };
    return in(threadIdx) || in(blockIdx) || in(blockDim) || in(gridDim);
}

std::uintptr_t address(const unsigned char* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer);
}
/// The first of `count` bytes of device memory at `at` that is not allocated; 0: all are.
std::uintptr_t outside(Memory& m, std::uintptr_t at, std::size_t count) {
    const auto in = [&](const Extent& e) {
        return at >= address(e.begin) && at + count <= address(e.end);
    };
    if (in(m.last)) return 0;
    const std::vector<Extent>& extents = *m.launch.extents;
    const auto behind = std::upper_bound(
        extents.begin(), extents.end(), at,
        [](std::uintptr_t sought, const Extent& e) { return sought < address(e.begin); });
    if (behind == extents.begin()) return at;
    const Extent& e = *std::prev(behind);
    if (!in(e)) return std::max(at, address(e.end));
    m.last = e;
    return 0;
}

/// Calls visit(byte, access to it, since when it counts) for bytes that rules are for.
template <typename Visit>
void touch(Access a, std::size_t count, const Visit& visit) {
    if (running_thread == nullptr || !running_thread->in_kernel || count == 0) return;
    if (a.at - address(running_thread->stack.get()) < KernelThread::kStackBytes) return;
    Memory& m = memory();
    const auto each = [&](Shadow& shadow, Tick since) {
        shadow.each(a.at, count, [&](Byte& b, std::uintptr_t at) {
            a.at = at;
            visit(b, a, since);
        });
    };
    if (m.device.has(a.at)) {
        if (const std::uintptr_t wrong = outside(m, a.at, count)) {
            a.at = wrong;
            report_outside(a);
        }
        return each(m.device, launch_began);
    }
    a.shared = true;
    if (m.dynamic.has(a.at)) {
        const std::size_t begin = m.dynamic.offset(a.at), end = m.launch.shared_bytes;
        if (begin + count > end) {
            a.at += begin < end ? end - begin : 0;
            report_outside(a);
        }
        return each(m.dynamic, block_began);
    }
    if (is_index(a.at)) return;
    if (m.fixed.has(a.at)) return each(m.fixed, block_began);
    const auto in = [&](const Extent& e) {
        return a.at >= address(e.begin) && a.at < address(e.end);
    };
    if (a.did == Did::reads && std::any_of(m.constants.begin(), m.constants.end(), in)) return;
    report(a, "which is the host's");
}

Access access(Did did, const void* at) {
    const std::uint32_t lane = running_thread != nullptr ? running_thread->number % 32 : 0;
    return {did, reinterpret_cast<std::uintptr_t>(at), false, 1u << lane};
}
constexpr auto read = [](Byte& b, const Access& a, Tick since) {
    check_read(b, a, since);
    note_read(b, a, since);
};
constexpr auto write = [](Byte& b, const Access& a, Tick since) {
    check_write(b, a, since);
    note_write(b, a, since);
};

}  // namespace

void begin_launch(const Launch& launch) {
    Memory& m = memory();
    m.launch = launch;
    m.last = {};
    m.device.forget_if_large();
    launch_began = ++now;
    note_launch(launch);
}
void begin_block() {
    block_began = barrier = ++now;
    note_block(now);
}
void sync_block() {
    barrier = ++now;
    note_barrier();
}
void sync_warp(unsigned warp, unsigned mask) {
    ++now;
    std::uint32_t joined[32] = {};
    for (unsigned lane = 0; lane < 32; ++lane) {
        if ((mask >> lane & 1u) == 0) continue;
        for (unsigned i = 0; i < 32; ++i)
            joined[i] = std::max(joined[i], knows[warp * 32 + lane][i]);
        joined[lane] = now;
    }
    for (unsigned lane = 0; lane < 32; ++lane)
        if ((mask >> lane & 1u) != 0) std::copy_n(joined, 32, knows[warp * 32 + lane]);
}

void reads(const void* at, std::size_t bytes) {
    touch(access(Did::reads, at), bytes, read);
}
void writes(const void* at, std::size_t bytes) {
    touch(access(Did::writes, at), bytes, write);
}
void adds(const void* at, std::size_t bytes) {
    touch(access(Did::adds, at), bytes, [](Byte& b, const Access& a, Tick since) {
        if (a.shared) check_read(b, a, since);
        write(b, a, since);
    });
}
void warp_reads(const void* at, std::size_t bytes) {
    Access all = access(Did::reads, at);
    all.lanes = ~0u;
    touch(all, bytes, read);
}
void starts_copy(const void* to, const void* from, int bytes) {
    reads(from, static_cast<std::size_t>(bytes));
    touch(access(Did::copies, to), 16, write);
}
void ends_copy(const void* to, const void* from, int bytes) {
    reads(from, static_cast<std::size_t>(bytes));
    touch(access(Did::writes, to), 16, [](Byte& b, const Access& a, Tick since) {
        b.kind = Write::plain;
        b.written = 0;
        note_write(b, a, since);
    });
}

}  // namespace emulator::races
