#pragma once
// Loops over the backend's threads. Tasks are independent and each writes only what is its own, so
// that the number of threads and who does what never shows in a result. Bodies must not throw.

#include <omp.h>

#include <cstdint>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace muster::cpu {

/// Tells ThreadSanitizer, which does not see into the OpenMP library, what the start and the end of
/// a parallel region order. Nothing in other builds.
class RegionOrder {
 public:
#ifdef __SANITIZE_THREAD__
    void leave() {
        __tsan_release(this);
    }
    void enter() {
        __tsan_acquire(this);
    }
#else
    void leave() {}
    void enter() {}
#endif
};

/// body(task, thread) for every task. Threads take equal consecutive pieces, or, if tasks are
/// `uneven`, the next task when they are free.
template <typename Body>
void parallel_for(int threads, std::int64_t tasks, const Body& body, bool uneven = false) {
    if (threads <= 1 || tasks <= 1) {
        for (std::int64_t task = 0; task < tasks; ++task) body(task, 0);
        return;
    }
    RegionOrder begin, end;
    begin.leave();
#pragma omp parallel num_threads(threads)
    {
        begin.enter();
        const int thread = omp_get_thread_num();
        if (uneven) {
#pragma omp for schedule(dynamic) nowait
            for (std::int64_t task = 0; task < tasks; ++task) body(task, thread);
        } else {
#pragma omp for schedule(static) nowait
            for (std::int64_t task = 0; task < tasks; ++task) body(task, thread);
        }
        end.leave();
    }
    end.enter();
}

}  // namespace muster::cpu
