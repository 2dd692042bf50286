#include "muster/mpi/session.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "affinity.h"
#include "launcher.h"
#include "mpi_api.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

const char* environment(const char* name) {
    return std::getenv(name);
}

}  // namespace

MpiSession::MpiSession(int* argc, char*** argv) : exceptions_at_start_(std::uncaught_exceptions()) {
    if (active()) throw InternalError("a second MpiSession");
    const LaunchEvidence evidence = read_launch_evidence(environment);
    // Open MPI would end the process inside MPI_Init, with a page of text of its own.
    if (no_way_to_connect(evidence, library_version(), environment))
        throw UserError(singleton_problem(evidence, 1));
    yield_when_oversubscribed();
    int provided = MPI_THREAD_SINGLE;
    check_mpi(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN),
              "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
    const auto problem = singleton_problem(evidence, size_);
    if (!problem.empty()) {
        MPI_Finalize();
        throw UserError(problem);
    }
    if (provided < MPI_THREAD_FUNNELED) {
        throw SystemError(cat(library_version(), " offers thread level ", provided,
                              "; expected at least MPI_THREAD_FUNNELED (", MPI_THREAD_FUNNELED,
                              ")"));
    }
}

MpiSession::~MpiSession() {
    // MPI_Finalize waits for all ranks; while an exception unwinds here, the others do not come.
    if (active() && std::uncaught_exceptions() <= exceptions_at_start_) MPI_Finalize();
}

void MpiSession::abort(int exit_code) {
    std::fflush(nullptr);
    if (active()) MPI_Abort(MPI_COMM_WORLD, exit_code);
    std::_Exit(exit_code);
}

bool MpiSession::active() {
    int initialized = 0, finalized = 0;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    return initialized != 0 && finalized == 0;
}

std::string MpiSession::library_version() {
    std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
    int length = 0;
    check_mpi(MPI_Get_library_version(text.data(), &length), "MPI_Get_library_version");
    // MPICH answers with many lines and Open MPI ends with a NUL that counts: the first line will
    // do.
    const std::string all(text.data());
    return std::string(trim(all.substr(0, all.find('\n'))));
}

}  // namespace muster
