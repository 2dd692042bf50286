#include "cpu/thread_pool.h"

#include <algorithm>
#include <utility>

#include "muster/mpi/host.h"

namespace muster::cpu {

namespace {

/// Waits until `value` is no longer `old`: briefly awake, since loops follow each other within
/// microseconds, then asleep.
template <typename T>
void wait_while(const std::atomic<T>& value, T old) {
    constexpr int kSpins = 4000;
    for (int i = 0; i < kSpins; ++i) {
        if (value.load(std::memory_order_acquire) != old) return;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

constexpr std::uint64_t kBegin = 0xffffffff, kOneFromEnd = std::uint64_t{1} << 32;

}  // namespace

ThreadPool::ThreadPool(int threads, std::vector<int> cpus)
    : threads_(std::max(threads, 1)),
      cpus_(std::move(cpus)),
      workers_(std::make_unique<Worker[]>(static_cast<std::size_t>(threads_ - 1))),
      shares_(std::make_unique<Share[]>(static_cast<std::size_t>(threads_))) {
    for (int i = 1; i < threads_; ++i)
        workers_[static_cast<std::size_t>(i - 1)].thread = std::thread([this, i] { work(i); });
    if (cpus_.empty()) return;
    callers_cpus_ = thread_cpus();
    pin(0);
}

ThreadPool::~ThreadPool() {
    stopping_ = true;
    for (int i = 1; i < threads_; ++i) {
        Worker& worker = workers_[static_cast<std::size_t>(i - 1)];
        worker.jobs_given.fetch_add(1, std::memory_order_release);
        worker.jobs_given.notify_one();
        worker.thread.join();
    }
    set_thread_cpus(callers_cpus_);
}

void ThreadPool::pin(int thread) const {
    const auto index = static_cast<std::size_t>(thread);
    if (index < cpus_.size())
        set_thread_cpus({cpus_[index]});
    else
        unpin_thread();  // another pool may have pinned the one that started it
}

void ThreadPool::run_job(Job job) {
    job.threads = static_cast<int>(
        std::clamp<std::int64_t>(job.tasks, 1, std::clamp(job.threads, 1, threads_)));
    job_ = job;
    for (int i = 0; i < job.threads; ++i) {
        const auto begin = static_cast<std::uint64_t>(share_begin(job.tasks, i, job.threads));
        const auto end = static_cast<std::uint64_t>(share_begin(job.tasks, i + 1, job.threads));
        shares_[static_cast<std::size_t>(i)].left.store(end << 32 | begin,
                                                        std::memory_order_relaxed);
    }
    busy_workers_.store(job.threads - 1, std::memory_order_relaxed);
    for (int i = 1; i < job.threads; ++i) {
        Worker& worker = workers_[static_cast<std::size_t>(i - 1)];
        worker.jobs_given.fetch_add(1, std::memory_order_release);
        worker.jobs_given.notify_one();
    }
    do_share(0);
    for (int busy = busy_workers_.load(std::memory_order_acquire); busy != 0;
         busy = busy_workers_.load(std::memory_order_acquire)) {
        wait_while(busy_workers_, busy);
    }
}

void ThreadPool::work(int thread) {
    pin(thread);
    const std::atomic<std::uint32_t>& jobs_given =
        workers_[static_cast<std::size_t>(thread - 1)].jobs_given;
    for (std::uint32_t jobs_done = 0;; ++jobs_done) {
        wait_while(jobs_given, jobs_done);
        if (stopping_) return;
        do_share(thread);
        if (busy_workers_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_workers_.notify_one();
    }
}

void ThreadPool::do_share(int thread) {
    for (std::int64_t task; (task = take_first(thread)) >= 0;) job_.call(job_.body, task, thread);
    for (int i = 1; job_.uneven && i < job_.threads; ++i) {
        const int other = (thread + i) % job_.threads;
        for (std::int64_t task; (task = take_last(other)) >= 0;) job_.call(job_.body, task, thread);
    }
}

/// The first or last task of a thread's share, −1 if none is left.
std::int64_t ThreadPool::take_first(int thread) {
    std::atomic<std::uint64_t>& left = shares_[static_cast<std::size_t>(thread)].left;
    std::uint64_t tasks = left.load(std::memory_order_relaxed);
    do {
        if ((tasks & kBegin) == tasks >> 32) return -1;
    } while (!left.compare_exchange_weak(tasks, tasks + 1, std::memory_order_relaxed));
    return static_cast<std::int64_t>(tasks & kBegin);
}
std::int64_t ThreadPool::take_last(int thread) {
    std::atomic<std::uint64_t>& left = shares_[static_cast<std::size_t>(thread)].left;
    std::uint64_t tasks = left.load(std::memory_order_relaxed);
    do {
        if ((tasks & kBegin) == tasks >> 32) return -1;
    } while (!left.compare_exchange_weak(tasks, tasks - kOneFromEnd, std::memory_order_relaxed));
    return static_cast<std::int64_t>(tasks >> 32) - 1;
}

}  // namespace muster::cpu
