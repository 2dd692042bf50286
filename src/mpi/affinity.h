#pragma once
// Which cores the ranks of a node may use, and how they share them.

#include <cstddef>
#include <vector>

namespace muster {

/// Numbers of the cores in the affinity mask that this process had when it first asked, ascending.
const std::vector<int>& allowed_cores();
/// Threads for rank `index` when rank i may use the cores masks[i] (ascending): every core is split
/// evenly among the ranks that may use it. At least 1, at most the size of the mask.
int fair_threads(const std::vector<std::vector<int>>& masks, std::size_t index);

/// One rank of a node: the cores that it may use, ascending, and its threads.
struct RankCores {
    std::vector<int> mask;
    int threads = 1;
};
/// CPUs for the threads of every rank, empty for ranks that are not pinned. Masks of several ranks
/// without a common core are the launcher's binding: thread i goes to the i-th core of its mask.
/// Equal masks are cut into equal slices if the threads fill them. A job that leaves cores free is
/// left to the kernel: another one beside it would choose the same cores.
std::vector<std::vector<int>> pin_threads(const std::vector<RankCores>& ranks);
/// True if the ranks together have more threads than cores.
bool are_crowded(const std::vector<RankCores>& ranks);

/// Makes waiting ranks give their core away when the launcher put more ranks on this node than
/// there are cores for them. Before MPI_Init; does not override what the user has set.
void yield_when_oversubscribed();

}  // namespace muster
