#pragma once
// Frame of the tests that run on several ranks. Every rank runs every test case; the tests call
// collectives, so what is asserted with REQUIRE must hold or fail on all ranks, or the job is ended
// at once by main.cpp.

#include <doctest/doctest.h>

#include "muster/mpi/communicator.h"

/// The world of this test program.
const muster::Communicator& test_world();
