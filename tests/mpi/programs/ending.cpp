// A small program that ends in the way its argument names; started by tests that check how the
// whole job ends.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/mpi/agree.h"
#include "muster/mpi/session.h"

namespace {

void end_as(const std::string& how, const muster::Communicator& world) {
    if (how == "agreed") {
        muster::agree(world, "opening", [&] {
            if (world.rank() > 0) throw muster::UserError("no such file");
        });
    }
    if (how == "lonely" && world.rank() == 2) {
        throw muster::SystemError(muster::cat("rank ", world.rank(), ": the disk is full"));
    }
    if (how == "abort" && world.rank() == 1) muster::MpiSession::abort(70);
    if (how == "crash" && world.rank() == 1) std::abort();
    world.barrier();
}

int report(const muster::Error& error, bool speaks) {
    if (speaks) std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const muster::MpiSession session(&argc, &argv);
        try {
            const auto world = muster::Communicator::world();
            end_as(argc > 1 ? argv[1] : "normal", world);
        } catch (const muster::Error& error) {
            const int code = report(error, !error.agreed() || session.rank() == 0);
            if (!error.agreed()) muster::MpiSession::abort(code);
            return code;
        }
        if (session.rank() == 0) std::puts("all is well");
        return 0;
    } catch (const muster::Error& error) {
        return report(error, true);
    }
}
