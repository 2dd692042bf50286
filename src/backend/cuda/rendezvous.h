#pragma once
// All ranks of a group come together, or an error says who did not: MPI's own collectives would
// wait for ever.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "muster/mpi/communicator.h"

namespace muster::cuda {

class Rendezvous {
 public:
    /// Collective over `group`, whose other messages it does not touch.
    Rendezvous(const Communicator& group, double deadline_seconds);

    const Communicator& ranks() const { return ranks_; }

    // A round by hand, the only one of its object: listen before and after having announced.
    /// Says `words` to all others.
    void announce(const std::string& words);
    /// Takes in what has arrived; true once every rank, this one included, has announced.
    bool complete();
    /// What `rank` announced, if it has been heard.
    const std::optional<std::string>& words_of(int rank) const;

    /// A whole round: every rank's words in rank order. Collective. Throws SystemError that names
    /// the ranks that did not come to `what` within the deadline.
    std::vector<std::string> meet(const std::string& words, const char* what);
    /// The ranks not heard yet: "rank 2", "ranks 1, 3".
    std::string missing() const;

 private:
    Communicator ranks_;
    double deadline_seconds_;
    std::vector<std::optional<std::string>> heard_;
    std::vector<std::unique_ptr<PendingSend>> sends_;
};

}  // namespace muster::cuda
