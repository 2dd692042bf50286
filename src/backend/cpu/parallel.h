#pragma once
// Loops over the backend's threads. Tasks are independent and each writes only what is its own, so
// that the number of threads and who does what never shows in a result. Bodies must not throw.

#include <omp.h>

#include <cstdint>

namespace muster::cpu {

/// body(task, thread) for every task, in equal consecutive pieces.
template <typename Body>
void parallel_for(int threads, std::int64_t tasks, const Body& body) {
    if (threads <= 1 || tasks <= 1) {
        for (std::int64_t task = 0; task < tasks; ++task) body(task, 0);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (std::int64_t task = 0; task < tasks; ++task) body(task, omp_get_thread_num());
}

/// The same for tasks of unequal cost: threads take the next task when they are free.
template <typename Body>
void parallel_for_uneven(int threads, std::int64_t tasks, const Body& body) {
    if (threads <= 1 || tasks <= 1) {
        for (std::int64_t task = 0; task < tasks; ++task) body(task, 0);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (std::int64_t task = 0; task < tasks; ++task) body(task, omp_get_thread_num());
}

}  // namespace muster::cpu
