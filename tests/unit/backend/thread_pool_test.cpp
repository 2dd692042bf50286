#include "cpu/thread_pool.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using muster::cpu::ThreadPool;

TEST_CASE("every task runs once, on a thread of the loop, and is done when the loop returns") {
    for (const int threads : {0, 1, 2, 3, 7}) {
        ThreadPool pool(threads);
        CHECK(pool.threads() == std::max(threads, 1));
        for (int round = 0; round < 200; ++round) {
            const std::int64_t tasks = round % 23;
            const int wanted = round % 9;
            std::vector<int> runs(static_cast<std::size_t>(tasks)),
                thread_of(static_cast<std::size_t>(tasks), -1);
            pool.run(
                wanted, tasks,
                [&](std::int64_t task, int thread) {
                    ++runs[static_cast<std::size_t>(task)];
                    thread_of[static_cast<std::size_t>(task)] = thread;
                },
                round % 2 == 1);
            bool once = true, known_thread = true;
            for (const int count : runs) once = once && count == 1;
            for (const int thread : thread_of) {
                known_thread = known_thread && thread >= 0 &&
                               thread < std::max(1, std::min(wanted, pool.threads()));
            }
            CHECK(once);
            CHECK(known_thread);
        }
    }
}

TEST_CASE("even loops give each thread one consecutive piece") {
    ThreadPool pool(3);
    std::vector<int> thread_of(10);
    pool.run(3, 10, [&](std::int64_t task, int thread) {
        thread_of[static_cast<std::size_t>(task)] = thread;
    });
    CHECK(thread_of == std::vector<int>{0, 0, 0, 1, 1, 1, 2, 2, 2, 2});
}
