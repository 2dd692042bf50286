#include "cuda/wait.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "cuda/check.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {

constexpr std::chrono::microseconds kSpin{20}, kYield{200}, kNap{50};
constexpr double kLongest = 1e9;  // seconds; what a clock can add without overflow

std::atomic<bool> lost{false};

}  // namespace

Patience::Patience(double deadline_seconds)
    : start_(Clock::now()),
      deadline_(start_ + std::chrono::duration_cast<Clock::duration>(
                             std::chrono::duration<double>(std::min(deadline_seconds, kLongest)))) {
}

bool Patience::pause() {
    const Clock::time_point now = Clock::now();
    if (now >= deadline_) return false;
    if (now - start_ < kSpin) return true;
    if (now - start_ < kYield)
        sched_yield();
    else
        std::this_thread::sleep_for(kNap);
    return true;
}

void wait_for(cudaStream_t stream, GroupCopies* group, double deadline_seconds, const char* what) {
    Patience patience(deadline_seconds);
    try {
        for (cudaError_t state; (state = cudaStreamQuery(stream)) != cudaSuccess;) {
            if (state != cudaErrorNotReady) check(state, what);
            (void)cudaGetLastError();  // "not ready" counts as an error there
            if (group) group->check();
            if (!patience.pause())
                throw SystemError(cat(group ? cat(group->member(), ": ") : "", what,
                                      " did not end within ", format_duration(deadline_seconds),
                                      "; a peer or the device hangs"));
        }
    } catch (...) {
        declare_device_lost();
        throw;
    }
}

bool device_is_lost() {
    return lost;
}
void declare_device_lost() {
    lost = true;
}

}  // namespace muster::cuda
