#pragma once
// Waiting that ends: for a stream, a peer or a library, by asking again and again until a deadline.
// A call that waits by itself would wait for ever if a peer died or a kernel hung.

#include <cuda_runtime.h>

#include <chrono>

#include "cuda/group_copies.h"

namespace muster::cuda {

/// The pauses of somebody who asks repeatedly: none for some microseconds, since most things come
/// soon; then the core is left to whoever wants it; after having been `awake` for so long, naps of
/// a hundredth of the wait.
class Patience {
 public:
    explicit Patience(double deadline_seconds,
                      std::chrono::microseconds awake = std::chrono::microseconds(200));
    /// Pauses. False, at once, when the deadline has passed.
    bool pause();

 private:
    using Clock = std::chrono::steady_clock;
    std::chrono::microseconds awake_;
    Clock::time_point start_, deadline_;
};

/// Returns when everything queued on `stream` has run. Asks the peers meanwhile: `group` may be
/// null. Throws SystemError if the device or a peer has failed, or after `deadline_seconds`, naming
/// the rank and `what` ("a step"); device_is_lost() from then on.
void wait_for(cudaStream_t stream, GroupCopies* group, double deadline_seconds,
              const char* what = "the device's work");

/// The same for what was queued before `event` was recorded.
void wait_for(cudaEvent_t event, GroupCopies* group, double deadline_seconds, const char* what);

/// Whether a wait in this process has failed. Work may then hang on the device for ever, so that
/// whatever waits for it (freeing memory, destroying streams) must be left to the end of the
/// process.
bool device_is_lost();
void declare_device_lost();

}  // namespace muster::cuda
