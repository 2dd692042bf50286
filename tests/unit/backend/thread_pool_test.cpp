#include "cpu/thread_pool.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "muster/mpi/host.h"

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

TEST_CASE("in uneven loops the others do what a busy thread has not come to") {
    constexpr std::int64_t kTasks = 12;
    ThreadPool pool(3);
    std::vector<int> thread_of(kTasks);
    std::atomic<std::int64_t> others_done{0};
    pool.run(
        3, kTasks,
        [&](std::int64_t task, int thread) {
            thread_of[static_cast<std::size_t>(task)] = thread;
            if (task != 0) {
                ++others_done;
                return;
            }
            while (others_done < kTasks - 1) std::this_thread::yield();
        },
        true);
    // The calling thread begins with task 0, unless another one was quick enough to take even that.
    if (thread_of[0] == 0) CHECK(std::count(thread_of.begin(), thread_of.end(), 0) == 1);
    CHECK(others_done == kTasks - 1);
}

TEST_CASE("pinned threads stay on their CPUs, and the calling one is free again afterwards") {
    const std::vector<int> before = muster::thread_cpus();
    const std::vector<int> cpus = {before.back(), before.front(), before.back()};
    for (int round = 0; round < 3; ++round) {
        ThreadPool pool(3, cpus);
        std::vector<std::vector<int>> seen(3);
        pool.run(3, 3, [&](std::int64_t task, int) {
            seen[static_cast<std::size_t>(task)] = muster::thread_cpus();
        });
        for (std::size_t i = 0; i < 3; ++i) CHECK(seen[i] == std::vector<int>{cpus[i]});
    }
    CHECK(muster::thread_cpus() == before);
}
