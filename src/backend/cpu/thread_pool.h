#pragma once
// The threads of one backend. Tasks of a loop are independent and each writes only what is its own,
// so that the number of threads and who does what never shows in a result. OpenMP is not used:
// ThreadSanitizer cannot see into its library, and its waiting threads spin for long on cores that
// other ranks may need.

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace muster::cpu {

/// Where the share of thread `thread` of a loop begins; that of `threads` is the loop's end.
constexpr std::int64_t share_begin(std::int64_t tasks, int thread, int threads) {
    return tasks * thread / threads;
}

class ThreadPool {
 public:
    /// The calling thread and threads - 1 more. If `cpus` names a CPU for each of them, they stay
    /// there, the calling thread until the pool is gone.
    explicit ThreadPool(int threads, std::vector<int> cpus = {});
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const { return threads_; }

    /// body(task, thread) for every task in [0, tasks), tasks < 2^32, on the first `threads`
    /// threads; returns when all are done. Thread t goes through share_begin(tasks, t, threads) and
    /// on; if tasks are `uneven`, a thread that is done takes the last ones of others. Bodies must
    /// not throw. One loop at a time, always from the same thread.
    template <typename Body>
    void run(int threads, std::int64_t tasks, const Body& body, bool uneven = false) {
        const auto call = [](const void* of, std::int64_t task, int thread) {
            (*static_cast<const Body*>(of))(task, thread);
        };
        run_job({call, &body, tasks, threads, uneven});
    }

 private:
    struct Job {
        void (*call)(const void* body, std::int64_t task, int thread) = nullptr;
        const void* body = nullptr;
        std::int64_t tasks = 0;
        int threads = 1;
        bool uneven = false;
    };
    struct alignas(64) Worker {
        std::atomic<std::uint32_t> jobs_given{0};
        std::thread thread;
    };
    /// Tasks [begin, end) that a thread has still to do, end in the upper half.
    struct alignas(64) Share {
        std::atomic<std::uint64_t> left{0};
    };

    void run_job(Job job);
    void work(int thread);
    void pin(int thread) const;
    void do_share(int thread);
    std::int64_t take_first(int thread);
    std::int64_t take_last(int thread);

    int threads_;
    std::vector<int> cpus_, callers_cpus_;
    Job job_;
    bool stopping_ = false;
    std::atomic<int> busy_workers_{0};
    std::unique_ptr<Worker[]> workers_;
    std::unique_ptr<Share[]> shares_;
};

}  // namespace muster::cpu
