#include "muster/base/log.h"

#include <doctest/doctest.h>

#include "stderr_capture.h"

using namespace muster;
using test::stderr_of;

namespace {

std::string everything() {
    return stderr_of([] {
        detail("d");
        info("i");
        warn("w");
        warn_here("h");
        error_line("e");
    });
}

}  // namespace

TEST_CASE("verbosity and speaking decide what is shown") {
    configure_log(Verbosity::normal, "", true);
    CHECK(everything() == "i\nwarning: w\nwarning: h\nerror: e\n");
    configure_log(Verbosity::verbose, "", true);
    CHECK(log_verbosity() == Verbosity::verbose);
    CHECK(everything() == "d\ni\nwarning: w\nwarning: h\nerror: e\n");
    configure_log(Verbosity::quiet, "", true);
    CHECK(everything() == "warning: w\nwarning: h\nerror: e\n");
    configure_log(Verbosity::verbose, "[rank 3 node12] ", false);
    CHECK(everything() == "[rank 3 node12] warning: h\n[rank 3 node12] error: e\n");
    configure_log(Verbosity::normal, "", true);
}
