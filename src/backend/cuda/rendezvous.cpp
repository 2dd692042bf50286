// A rank that is ahead may announce its next round while this one is incomplete here; messages of
// one rank keep their order and one is taken per round, so rounds do not mix.

#include "cuda/rendezvous.h"

#include <utility>

#include "cuda/wait.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::cuda {

namespace {
constexpr int kTag = 0;  // of a communicator of its own
}

Rendezvous::Rendezvous(const Communicator& group, double deadline_seconds)
    : ranks_(group.duplicate()),
      deadline_seconds_(deadline_seconds),
      heard_(static_cast<std::size_t>(group.size())) {}

void Rendezvous::announce(const std::string& words) {
    std::erase_if(sends_, [](const auto& send) { return send->done(); });
    for (int rank = 0; rank < ranks_.size(); ++rank) {
        if (rank == ranks_.rank())
            heard_[static_cast<std::size_t>(rank)] = words;
        else
            sends_.push_back(ranks_.start_send(rank, kTag, words));
    }
}

bool Rendezvous::complete() {
    bool all = true;
    for (int rank = 0; rank < ranks_.size(); ++rank) {
        auto& words = heard_[static_cast<std::size_t>(rank)];
        if (words) continue;
        if (auto message = ranks_.try_receive(rank, kTag))
            words = std::move(message->bytes);
        else
            all = false;
    }
    return all;
}

const std::optional<std::string>& Rendezvous::words_of(int rank) const {
    return heard_[static_cast<std::size_t>(rank)];
}

std::string Rendezvous::missing() const {
    std::vector<std::string> ranks;
    for (std::size_t rank = 0; rank < heard_.size(); ++rank)
        if (!heard_[rank]) ranks.push_back(std::to_string(rank));
    return cat(ranks.size() == 1 ? "rank " : "ranks ", join(ranks, ", "));
}

std::vector<std::string> Rendezvous::meet(const std::string& words, const char* what) {
    announce(words);
    for (Patience patience(deadline_seconds_); !complete();) {
        if (patience.pause()) continue;
        throw SystemError(cat("rank ", ranks_.rank(), " of the tensor-parallel group waited ",
                              format_duration(deadline_seconds_), " for ", missing(),
                              " of it to come to ", what));
    }
    std::vector<std::string> all;
    for (auto& each : heard_) all.push_back(*std::exchange(each, std::nullopt));
    return all;
}

}  // namespace muster::cuda
