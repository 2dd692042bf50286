#pragma once
// A checkpoint directory ready to run, for tests on one rank and on several.

#include <memory>
#include <string>
#include <vector>

#include "muster/engine/engine.h"
#include "muster/model/model.h"
#include "muster/mpi/communicator.h"
#include "muster/tensor/checkpoint.h"

namespace muster::test {

/// A model over the tensor-parallel group `group`, which must outlive it.
class LoadedModel {
 public:
    /// On the CPU backend.
    LoadedModel(const std::string& directory, int threads, const Communicator& group,
                std::int64_t max_step_rows);
    LoadedModel(const std::string& directory, std::unique_ptr<Backend> backend,
                std::int64_t max_step_rows);
    Model& operator*() { return *model_; }
    Model* operator->() { return model_.get(); }

 private:
    Checkpoint checkpoint_;
    std::unique_ptr<Backend> backend_;
    std::unique_ptr<Model> model_;
};

/// The tiny checkpoints of tests/golden/models, sorted.
std::vector<std::string> golden_models();

/// Scores of shared and of whole inputs, greedy, penalised and sampled generations, some longer
/// than a page.
std::vector<Request> sample_requests(std::int64_t vocab_size, std::int64_t max_positions);

/// Choices and greedy generations of documents behind one common beginning.
std::vector<Request> few_shot_requests(std::int64_t vocab_size, std::int64_t max_positions);

/// Runs `requests` in calls of at most `chunk` each.
std::vector<Completion> run_in_calls(Engine& engine, const std::vector<Request>& requests,
                                     std::size_t chunk);

/// Loads `directory` and runs `requests` on it.
std::vector<Completion> run_checkpoint(const std::string& directory, int threads,
                                       const Communicator& group, const Tokenizer& tokenizer,
                                       const EngineOptions& options,
                                       const std::vector<Request>& requests);

}  // namespace muster::test
