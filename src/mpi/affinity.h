#pragma once
// Which cores the ranks of a node may use, and how they share them.

#include <cstddef>
#include <vector>

namespace muster {

/// Numbers of the cores in this process's affinity mask, ascending.
std::vector<int> allowed_cores();
/// Threads for rank `index` when rank i may use the cores masks[i] (ascending): every core is split
/// evenly among the ranks that may use it. At least 1, at most the size of the mask.
int fair_threads(const std::vector<std::vector<int>>& masks, std::size_t index);

/// Makes waiting ranks give their core away when the launcher put more ranks on this node than
/// there are cores for them. Before MPI_Init; does not override what the user has set.
void yield_when_oversubscribed();

}  // namespace muster
