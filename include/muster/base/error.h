#pragma once
// The three ways a program can fail, each with its exit code. A message names the place, the fact,
// what was expected, and a hint: `configs/runs/a.json: /tasks/0/shotz: unknown key; did you mean "shots"?`

#include <stdexcept>
#include <string>
#include <string_view>

namespace muster {

/// Root of all errors that muster throws on purpose.
class Error : public std::runtime_error {
 public:
    Error(const std::string& message, int exit_code)
        : std::runtime_error(message), exit_code_(exit_code) {}
    /// The process exit code that this error stands for.
    int exit_code() const { return exit_code_; }
    /// True if every rank throws this very error (see mpi/agree.h), so that one of them can report it for all.
    bool agreed() const { return agreed_; }
    void mark_agreed() { agreed_ = true; }

 private:
    int exit_code_;
    bool agreed_ = false;
};

/// The user's input is wrong: arguments, run files, task files, checkpoints, datasets. Exit code 2.
class UserError : public Error {
 public:
    explicit UserError(const std::string& message) : Error(message, 2) {}
};

/// The machine failed: MPI, CUDA, NCCL, HDF5, disk, memory. Exit code 3.
class SystemError : public Error {
 public:
    explicit SystemError(const std::string& message) : Error(message, 3) {}
};

/// A bug in muster. Exit code 70.
class InternalError : public Error {
 public:
    explicit InternalError(const std::string& message) : Error(message, 70) {}
};

}  // namespace muster
