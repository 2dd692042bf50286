// Blocks and their threads. One block runs at a time, its threads as fibers on one kernel thread:
// each runs until it has to wait for others (barrier, shuffle, matrix instruction), then the next
// one goes on. A fiber starts by ucontext and is switched to by setjmp and longjmp, which need no
// system call.

#undef _FORTIFY_SOURCE  // its longjmp refuses to change stacks

#include <setjmp.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <vector>

#include "emulated_ptx.h"
#include "parts.h"
#include "races.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator {

const KernelThread* running_thread = nullptr;

namespace {

struct AsyncCopy {
    void* to;
    const void* from;
    int read;
};
struct Fiber : KernelThread {
    jmp_buf at;
    uint3 index;
    bool started = false, done = false, released = false;
    unsigned meets = 0;  ///< the mask it waits for in its warp; 0: it does not
    Together meets_to = Together::sync;
    std::vector<AsyncCopy> open_group;
    std::deque<std::vector<AsyncCopy>> groups;  ///< committed, not yet waited for
};
struct Warp {
    std::array<std::uint64_t, 32> words{};
    unsigned arrived = 0;
};

std::vector<std::unique_ptr<Fiber>> fibers;
std::vector<Warp> warps;
Fiber* running = nullptr;
jmp_buf scheduler;
const std::function<void()>* body = nullptr;
unsigned num_threads = 0, alive = 0, at_barrier = 0, barrier_round = 0;
bool votes[2] = {false, false};  ///< of barriers with even and odd numbers
bool progress = false, backwards = false;
alignas(1024) unsigned char shared[kMaxShared];

/// Lets the threads at the barrier go on if all have come.
void open_barrier() {
    if (at_barrier == 0 || at_barrier != alive) return;
    at_barrier = 0;
    ++barrier_round;
    if (races::on) races::sync_block();
    votes[barrier_round % 2] = false;
}

void run_fiber() {
    (*body)();
    running->done = true;
    progress = true;
    --alive;
    open_barrier();  // those that left do not count
    _longjmp(scheduler, 1);
}

void resume(Fiber& fiber) {
    running_thread = running = &fiber;
    threadIdx = fiber.index;
    if (_setjmp(scheduler) != 0) return;
    if (fiber.started) _longjmp(fiber.at, 1);
    fiber.started = true;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = fiber.stack.get();
    context.uc_stack.ss_size = Fiber::kStackBytes;
    context.uc_link = nullptr;
    makecontext(&context, run_fiber, 0);
    setcontext(&context);
}

void yield() {
    if (_setjmp(running->at) == 0) _longjmp(scheduler, 1);
}

void run_block(std::size_t shared_bytes) {
    std::memset(shared, 0xff, shared_bytes);
    if (races::on) races::begin_block();
    alive = num_threads;
    at_barrier = 0;
    votes[0] = votes[1] = false;
    warps.assign((num_threads + 31) / 32, {});
    for (unsigned i = 0; i < num_threads; ++i) {
        if (i == fibers.size()) fibers.push_back(std::make_unique<Fiber>());
        Fiber& fiber = *fibers[i];
        fiber.number = i;
        fiber.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
        fiber.started = fiber.done = fiber.released = fiber.in_kernel = false;
        fiber.meets = 0;
        fiber.open_group.clear();
        fiber.groups.clear();
    }
    while (alive > 0) {
        progress = false;
        for (unsigned i = 0; i < num_threads; ++i) {
            Fiber& fiber = *fibers[backwards ? num_threads - 1 - i : i];
            if (!fiber.done) resume(fiber);
        }
        if (!progress) {
            for (unsigned i = 0; i < num_threads; ++i)
                if (!fibers[i]->done) threadIdx = fibers[i]->index;
            fail(
                "threads wait for each other: some do not come to a barrier, shuffle or matrix "
                "instruction that others wait at");
        }
    }
    running_thread = running = nullptr;
}

}  // namespace

void run_grid(const Launch& launch) {
    body = &launch.body;
    gridDim = launch.grid;
    blockDim = launch.block;
    num_threads = blockDim.x * blockDim.y * blockDim.z;
    if (races::on) races::begin_launch(launch);
    for (unsigned z = 0; z < gridDim.z; ++z)
        for (unsigned y = 0; y < gridDim.y; ++y)
            for (unsigned x = 0; x < gridDim.x; ++x) {
                blockIdx = {x, y, z};
                run_block(launch.shared_bytes);
            }
}
void enter_kernel() {
    running->in_kernel = true;
}
void note_atomic(const void* at, std::size_t bytes) {
    if (races::on) races::adds(at, bytes);
}
void run_threads_backwards(bool on) {
    backwards = on;
}

void fail(const char* what) {
    std::fprintf(stderr, "CUDA emulator: block (%u, %u, %u), thread (%u, %u, %u): %s\n", blockIdx.x,
                 blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z, what);
    std::abort();
}
unsigned lane() {
    return running->number % 32;
}
std::array<std::uint64_t, 32>& warp_words() {
    return warps[running->number / 32].words;
}
unsigned char* dynamic_shared() {
    return shared;
}

bool meet_block(bool vote) {
    if (running->meets != 0) fail("a barrier inside a warp's exchange");
    const unsigned round = barrier_round;
    votes[round % 2] |= vote;
    ++at_barrier;
    progress = true;
    open_barrier();
    while (round == barrier_round) yield();
    progress = true;
    return votes[round % 2];
}

void meet_warp(unsigned mask, Together what) {
    const unsigned first = running->number / 32 * 32;
    const unsigned present =
        num_threads - first >= 32 ? 0xffffffffu : (1u << (num_threads - first)) - 1;
    if ((mask >> lane() & 1u) == 0) fail("a lane meets others under a mask without it");
    if ((mask & ~present) != 0 && mask != 0xffffffffu) fail("a mask names lanes that do not exist");
    mask &= present;
    Warp& warp = warps[running->number / 32];
    running->meets = mask;
    running->meets_to = what;
    warp.arrived |= 1u << lane();
    progress = true;
    bool all = (warp.arrived & mask) == mask;
    for (unsigned i = 0; all && i < 32; ++i)
        if ((mask >> i & 1u) != 0 && fibers[first + i]->meets != mask) all = false;
    if (all) {
        for (unsigned i = 0; i < 32; ++i)
            if ((mask >> i & 1u) != 0 && fibers[first + i]->meets_to != what)
                fail("lanes of a warp meet that do different things together");
        if (what == Together::sync && races::on) races::sync_warp(running->number / 32, mask);
        warp.arrived &= ~mask;
        for (unsigned i = 0; i < 32; ++i)
            if ((mask >> i & 1u) != 0) fibers[first + i]->released = true;
    }
    while (!running->released) yield();
    running->released = false;
    running->meets = 0;
    progress = true;
}

void sync_warp(unsigned mask) {
    meet_warp(mask, Together::sync);
}

// --- asynchronous copies
// --------------------------------------------------------------------------
void copy_async_16(void* to, const void* from, int read) {
    if (reinterpret_cast<std::uintptr_t>(to) % 16 != 0 ||
        (read > 0 && reinterpret_cast<std::uintptr_t>(from) % 16 != 0))
        fail("cp.async: an address is not aligned to 16 bytes");
    if (read < 0 || read > 16) fail("cp.async: reads more than it copies");
    if (races::on) races::starts_copy(to, from, read);
    std::memset(to, 0xff, 16);
    running->open_group.push_back({to, from, read});
}
void copy_async_commit() {
    running->groups.push_back(std::move(running->open_group));
    running->open_group.clear();
}
void copy_async_wait(std::size_t pending) {
    for (; running->groups.size() > pending; running->groups.pop_front()) {
        for (const AsyncCopy& copy : running->groups.front()) {
            if (races::on) races::ends_copy(copy.to, copy.from, copy.read);
            std::memset(copy.to, 0, 16);
            if (copy.read > 0) std::memcpy(copy.to, copy.from, static_cast<std::size_t>(copy.read));
        }
    }
}

}  // namespace emulator
