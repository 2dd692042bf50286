// Ranks and devices as a bipartite graph: a rank may take what it sees. Each rank in turn takes the
// first of its devices that is still free, and where none is, earlier ranks move over (augmenting
// paths). Where all see the same, that gives every rank the device of its local rank; where each
// sees its own, ordinal 0.

#include <algorithm>
#include <map>
#include <set>

#include "muster/backend/device.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

class Binding {
 public:
    explicit Binding(std::span<const RankDevices> ranks)
        : ranks_(ranks), choice_(ranks.size(), -1) {}

    /// False if `rank` can have no device of its own; stuck() then has the ranks that share too
    /// few.
    bool place(std::size_t rank) {
        for (const Device& device : ranks_[rank].visible)
            if (!owner_.contains(device.uuid)) return take(rank, device);
        stuck_ = {rank};
        return move_over(rank);
    }

    /// After all that can be placed: the device of those that `rank` sees which the fewest share.
    void share(std::size_t rank) {
        const auto fewer = [&](const Device& a, const Device& b) {
            return sharers_[a.uuid] < sharers_[b.uuid];
        };
        const auto& visible = ranks_[rank].visible;
        const auto least = std::min_element(visible.begin(), visible.end(), fewer);
        ++sharers_[least->uuid];
        choice_[rank] = least->ordinal;
    }

    const std::vector<int>& choice() const { return choice_; }
    const std::set<std::size_t>& stuck() const { return stuck_; }

 private:
    bool take(std::size_t rank, const Device& device) {
        owner_[device.uuid] = rank;
        choice_[rank] = device.ordinal;
        return true;
    }

    /// Finds a device for `rank` that its owner can exchange for another one.
    bool move_over(std::size_t rank) {
        for (const Device& device : ranks_[rank].visible) {
            const auto owner = owner_.find(device.uuid);
            if (owner == owner_.end()) return take(rank, device);
            if (!stuck_.insert(owner->second).second) continue;
            if (move_over(owner->second)) return take(rank, device);
        }
        return false;
    }

    std::span<const RankDevices> ranks_;
    std::vector<int> choice_;
    std::map<std::string, std::size_t> owner_;  ///< by UUID
    std::map<std::string, int> sharers_;        ///< besides the owner
    std::set<std::size_t> stuck_;
};

std::string rank_list(std::span<const RankDevices> ranks, const std::set<std::size_t>& which) {
    std::vector<std::string> names;
    for (const std::size_t i : which) names.push_back(std::to_string(ranks[i].rank));
    return cat(names.size() == 1 ? "rank " : "ranks ", join(names, ", "));
}

void check_visible(const std::string& host, std::span<const RankDevices> ranks) {
    std::set<std::size_t> blind;
    for (std::size_t i = 0; i < ranks.size(); ++i) {
        std::set<std::string> uuids;
        if (ranks[i].visible.empty()) blind.insert(i);
        for (const Device& device : ranks[i].visible)
            if (!uuids.insert(device.uuid).second)
                throw SystemError(cat(host, ": the driver shows rank ", ranks[i].rank, " device ",
                                      device.uuid, " twice"));
    }
    if (blind.empty()) return;
    throw UserError(
        cat(host, ": ", rank_list(ranks, blind), blind.size() == 1 ? " sees" : " see",
            " no CUDA device",
            blind.size() == ranks.size() ? "" : cat(", while the node's other ranks do"),
            "; expected one device per rank: ask the scheduler for devices (Slurm: "
            "--gpus-per-node) and look at CUDA_VISIBLE_DEVICES"));
}

[[noreturn]] void refuse(const std::string& host, std::span<const RankDevices> ranks,
                         std::set<std::size_t> stuck) {
    std::set<std::string> seen, all;
    for (std::size_t i = 0; i < ranks.size(); ++i)
        for (const Device& device : ranks[i].visible) {
            all.insert(device.uuid);
            if (stuck.contains(i)) seen.insert(device.uuid);
        }
    // Some see too few though the node has enough: the launcher bound them badly.
    const bool enough = all.size() >= ranks.size();
    if (!enough) {
        seen = all;
        for (std::size_t i = 0; i < ranks.size(); ++i) stuck.insert(i);
    }
    throw UserError(cat(
        host, ": ", rank_list(ranks, stuck), " see ",
        seen.size() == 1 ? "only one device" : cat("only ", seen.size(), " devices"), ", ",
        join({seen.begin(), seen.end()}, ", "),
        enough ? cat(", though the node's ranks see ", all.size(), " together") : "",
        "; expected a device for every rank: ",
        enough ? "let every rank see its own device or all of them (Slurm: --gpus-per-task=1, or "
                 "--gpu-bind=none)"
               : cat("start ", all.size(), " per node (Slurm: --ntasks-per-node=", all.size(),
                     "), ask for more devices"),
        ", or share devices with --allow-device-sharing"));
}

}  // namespace

std::vector<int> bind_devices(const std::string& host, std::span<const RankDevices> ranks,
                              bool allow_sharing) {
    check_visible(host, ranks);
    Binding binding(ranks);
    std::vector<std::size_t> left_over;
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
        if (binding.place(rank)) continue;
        if (!allow_sharing) refuse(host, ranks, binding.stuck());
        left_over.push_back(rank);
    }
    for (const std::size_t rank : left_over) binding.share(rank);
    return binding.choice();
}

}  // namespace muster
