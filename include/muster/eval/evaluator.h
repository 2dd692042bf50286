#pragma once
// A whole run: set-up on all ranks, inference, gathering, scoring, one result file. Set-up errors
// are agreed on: they are thrown on every rank with the same message. Errors of run() are one
// rank's own: the caller must end the job, since the other ranks sit in collectives.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "muster/eval/run_config.h"
#include "muster/mpi/communicator.h"
#include "muster/results/table.h"

namespace muster {

class Evaluation {
 public:
    /// Loads the model on all ranks and plans the work on rank 0, which alone reads tasks and data
    /// and checks that the output can be written. `command_line` is stored. Throws the same error
    /// everywhere. Collective over `world`.
    Evaluation(const Communicator& world, const RunConfig& run, std::string command_line);
    ~Evaluation();

    /// Inference and gathering. Collective. An exception here is this rank's alone.
    void run();
    /// Scores and writes the file on rank 0; throws the same error everywhere. Returns the summary
    /// on rank 0. Collective.
    std::vector<SummaryRow> finish();

 private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The merged run configuration that rank 0 has read, on all ranks. `read` is called on rank 0
/// only. Collective.
RunConfig share_run_config(const Communicator& world, const std::function<RunConfig()>& read);

}  // namespace muster
