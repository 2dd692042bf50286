#pragma once
// A task ready to run: its spec, its documents, and the samples made of them. Prompts depend on the
// task file, the data and the few-shot seed alone: the random generator is advanced through all
// documents in order, whoever evaluates them. Semantics: lm-evaluation-harness with one process.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "muster/task/sample.h"
#include "muster/task/task_spec.h"

namespace muster {

struct BuildOptions {
    std::int64_t limit = -1;  ///< first documents only; -1: all
    std::uint64_t fewshot_seed = 1234;
};

class SampleBuilder;

class Task {
 public:
    /// Reads the datasets that the task needs. Throws UserError.
    static Task load(const TaskSpec& spec, const std::string& data_dir);
    Task(Task&&) noexcept;
    Task& operator=(Task&&) noexcept;
    ~Task();

    const TaskSpec& spec() const;
    /// Documents of the evaluated split (test, else validation, else training).
    std::size_t num_documents() const;
    /// Samples in document order. A document that lacks a field or breaks a template throws
    /// UserError naming task, field and document.
    std::vector<Sample> build(const BuildOptions& options) const;
    /// SHA-256 over the dataset files in order.
    std::string data_hash() const;
    std::vector<std::string> data_files() const;

 private:
    friend class SampleBuilder;
    struct State;
    explicit Task(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace muster
