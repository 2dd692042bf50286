// Threads that stay where they are keep their caches, and the memory that they touched first stays
// near them.

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <set>

#include "affinity.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/mpi/host.h"

namespace muster {

namespace {

using CpuSet = std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)>;

CpuSet make_set(int cpus) {
    return {CPU_ALLOC(static_cast<std::size_t>(cpus)), [](cpu_set_t* set) { CPU_FREE(set); }};
}

bool are_disjoint(const std::vector<RankCores>& ranks) {
    std::set<int> seen;
    for (const RankCores& rank : ranks)
        for (const int core : rank.mask)
            if (!seen.insert(core).second) return false;
    return true;
}

bool have_equal_masks(const std::vector<RankCores>& ranks) {
    return std::all_of(ranks.begin(), ranks.end(),
                       [&](const RankCores& rank) { return rank.mask == ranks[0].mask; });
}

/// `count` cores from the `first`-th of `mask`.
std::vector<int> cores_from(const std::vector<int>& mask, std::size_t first, int count) {
    const auto begin = mask.begin() + static_cast<std::ptrdiff_t>(first);
    return {begin, begin + count};
}

std::vector<std::vector<int>> slices(const std::vector<RankCores>& ranks) {
    std::vector<std::vector<int>> cpus(ranks.size());
    const std::size_t share = ranks[0].mask.size() / ranks.size();
    const bool filled = std::all_of(ranks.begin(), ranks.end(), [&](const RankCores& rank) {
        return static_cast<std::size_t>(rank.threads) == share;
    });
    for (std::size_t i = 0; filled && i < ranks.size(); ++i)
        cpus[i] = cores_from(ranks[i].mask, i * share, ranks[i].threads);
    return cpus;
}

}  // namespace

std::vector<std::vector<int>> pin_threads(const std::vector<RankCores>& ranks) {
    if (have_equal_masks(ranks)) return slices(ranks);
    std::vector<std::vector<int>> cpus(ranks.size());
    if (!are_disjoint(ranks)) return cpus;
    for (std::size_t i = 0; i < ranks.size(); ++i)
        if (static_cast<std::size_t>(ranks[i].threads) <= ranks[i].mask.size())
            cpus[i] = cores_from(ranks[i].mask, 0, ranks[i].threads);
    return cpus;
}

bool are_crowded(const std::vector<RankCores>& ranks) {
    std::set<int> cores;
    std::size_t threads = 0;
    for (const RankCores& rank : ranks) {
        cores.insert(rank.mask.begin(), rank.mask.end());
        threads += static_cast<std::size_t>(rank.threads);
    }
    return threads > cores.size();
}

ThreadPlaces thread_places(const Communicator& node, int threads, bool pinning) {
    std::vector<int> mine = allowed_cores();
    mine.push_back(threads);
    const std::string bytes(reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(int));
    std::vector<RankCores> ranks;
    for (const std::string& packed : node.all_gather(bytes)) {
        RankCores rank;
        rank.mask.resize(packed.size() / sizeof(int));
        std::memcpy(rank.mask.data(), packed.data(), packed.size());
        rank.threads = rank.mask.back();
        rank.mask.pop_back();
        ranks.push_back(std::move(rank));
    }
    ThreadPlaces places;
    if (pinning) places.cpus = pin_threads(ranks)[static_cast<std::size_t>(node.rank())];
    places.crowded = are_crowded(ranks);
    return places;
}

std::vector<int> thread_cpus() {
    // The kernel refuses a set smaller than its own; grow it until it fits.
    for (int limit = CPU_SETSIZE; limit <= (1 << 20); limit *= 2) {
        const CpuSet set = make_set(limit);
        if (!set) break;
        const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(limit));
        CPU_ZERO_S(bytes, set.get());
        if (sched_getaffinity(0, bytes, set.get()) != 0) {
            if (errno == EINVAL) continue;
            break;
        }
        std::vector<int> cpus;
        for (int cpu = 0; cpu < limit; ++cpu)
            if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes, set.get())) cpus.push_back(cpu);
        return cpus;
    }
    throw SystemError(cat("sched_getaffinity: ", std::strerror(errno)));
}

void set_thread_cpus(const std::vector<int>& cpus) {
    if (cpus.empty()) return;
    const int limit = 1 + *std::max_element(cpus.begin(), cpus.end());
    const CpuSet set = make_set(limit);
    if (!set) return;
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(limit));
    CPU_ZERO_S(bytes, set.get());
    for (const int cpu : cpus) CPU_SET_S(static_cast<std::size_t>(cpu), bytes, set.get());
    (void)sched_setaffinity(0, bytes, set.get());
}

void unpin_thread() {
    set_thread_cpus(allowed_cores());
}

}  // namespace muster
