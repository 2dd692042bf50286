#pragma once
// Set-up steps that may fail on one rank must fail on all, with one message, or the others would wait
// for ever in their next collective.

#include <exception>
#include <functional>
#include <string>

#include "muster/mpi/communicator.h"

namespace muster {

/// Runs `step` on every rank of `comm`. If it throws anywhere, throws on every rank the error of the lowest
/// failing rank, with its type and exit code, "[rank 3 on node12] " in front if comm has several ranks, and
/// marked agreed() if comm is the whole world. `what` names the step for errors that are not ours. Collective.
/// `step` must not communicate over `comm` or its parts unless it fails on all of their ranks or none before
/// the next call.
void agree(const Communicator& comm, const std::string& what, const std::function<void()>& step);

}  // namespace muster
