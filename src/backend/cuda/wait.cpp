#include "cuda/wait.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>

#include "cuda/check.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

// A nap lasts 50 µs longer than it is to (the kernel's timer slack).
constexpr std::chrono::microseconds kSpin{20}, kShortestNap{50}, kLongestNap{1000};
constexpr int kNapsPerWait = 100;
// A step that decodes takes some milliseconds, of which naps would be some per cent.
constexpr std::chrono::microseconds kStep{5000};
constexpr double kLongest = 1e9;  // seconds; what a clock can add without overflow

std::atomic<bool> lost{false};

/// Where the device of this process is, without asking the device.
std::string device_address() {
    int ordinal = 0;
    std::array<char, 64> bus{};
    if (cudaGetDevice(&ordinal) != cudaSuccess ||
        cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), ordinal) != cudaSuccess)
        return "of unknown address";
    return cat(ordinal, " (PCI ", bus.data(), ")");
}

}  // namespace

Patience::Patience(double deadline_seconds, std::chrono::microseconds awake)
    : awake_(awake),
      start_(Clock::now()),
      deadline_(start_ + std::chrono::duration_cast<Clock::duration>(
                             std::chrono::duration<double>(std::min(deadline_seconds, kLongest)))) {
}

bool Patience::pause() {
    const Clock::time_point now = Clock::now();
    if (now >= deadline_) return false;
    const Clock::duration waited = now - start_;
    if (waited >= awake_)
        std::this_thread::sleep_for(
            std::clamp<Clock::duration>(waited / kNapsPerWait, kShortestNap, kLongestNap));
    else if (waited >= kSpin)
        sched_yield();
    return true;
}

namespace {

template <typename Query>
void ask_until_done(const Query& query, GroupCopies* group, double deadline_seconds,
                    const char* what) {
    Patience patience(deadline_seconds, kStep);
    try {
        for (cudaError_t state; (state = query()) != cudaSuccess;) {
            if (state != cudaErrorNotReady) check(state, what);
            (void)cudaGetLastError();  // "not ready" counts as an error there
            if (group) group->check();
            if (patience.pause()) continue;
            throw SystemError(cat(group ? cat(group->member(), ": ") : "", what,
                                  " did not end within ", format_duration(deadline_seconds), "; ",
                                  group ? "a peer or " : "", "device ", device_address(),
                                  " hangs: see the kernel's log (dmesg) for \"Xid\" and "
                                  "nvidia-smi, or allow more with --device-timeout"));
        }
    } catch (...) {
        declare_device_lost();
        throw;
    }
}

}  // namespace

void wait_for(cudaStream_t stream, GroupCopies* group, double deadline_seconds, const char* what) {
    ask_until_done([&] { return cudaStreamQuery(stream); }, group, deadline_seconds, what);
}
void wait_for(cudaEvent_t event, GroupCopies* group, double deadline_seconds, const char* what) {
    ask_until_done([&] { return cudaEventQuery(event); }, group, deadline_seconds, what);
}

bool device_is_lost() {
    return lost;
}
void declare_device_lost() {
    lost = true;
}

}  // namespace muster::cuda
