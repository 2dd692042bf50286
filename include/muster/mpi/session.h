#pragma once
// MPI from start to end, and the only place that knows which launcher started us.

#include <string>

namespace muster {

/// Initialises MPI (MPI_THREAD_FUNNELED) on construction; finalises on destruction unless an exception
/// is unwinding, in which case it leaves that to abort(). One per process, made in main() before threads.
class MpiSession {
 public:
    /// Throws UserError if a launcher started several processes and each sees a world of one
    /// (evidence: the launcher's variables against the world size); the message has the right command.
    MpiSession(int* argc, char*** argv);
    ~MpiSession();
    MpiSession(const MpiSession&) = delete;
    MpiSession& operator=(const MpiSession&) = delete;

    int rank() const { return rank_; }
    int size() const { return size_; }

    /// Ends the whole job with `exit_code` (MPI_Abort). Does not return. Any rank, any time.
    [[noreturn]] static void abort(int exit_code);
    /// True between construction and finalisation.
    static bool active();
    /// "Open MPI v4.1.4, …" as the library calls itself.
    static std::string library_version();

 private:
    int rank_ = 0, size_ = 1, exceptions_at_start_ = 0;
};

/// What the environment says of the launch, read once; see launcher.cpp for the variables.
struct LaunchEvidence {
    std::string launcher;    ///< "mpirun", "srun", "mpiexec", or "" for none
    int expected_size = 1;   ///< processes that the launcher says it started
};
/// Pure function of an environment look-up, for tests: `get` returns nullptr for an unset variable.
LaunchEvidence read_launch_evidence(const char* (*get)(const char* name));
/// The message that refuses accidental singletons, or "" if `world_size` is what the launcher meant.
std::string singleton_problem(const LaunchEvidence& evidence, int world_size);

}  // namespace muster
