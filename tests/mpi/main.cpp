// main() of an MPI test program. All ranks run all test cases. Rank 0 prints doctest's report;
// every rank prints its own failures at once. A failure that ends a test case on one rank (REQUIRE,
// an exception) would leave the others in a collective, so it ends the job. The program fails if
// any rank failed.

#define DOCTEST_CONFIG_IMPLEMENT
#include "mpi_test.h"

#include <cstdio>
#include <ostream>
#include <streambuf>
#include <string>

#include "muster/base/text.h"
#include "muster/mpi/session.h"

namespace {

const muster::Communicator* world = nullptr;

void say(const std::string& message) {
    const std::string line = muster::cat("[rank ", world->rank(), "] ", message, "\n");
    std::fputs(line.c_str(), stderr);
}

struct FailureListener : doctest::IReporter {
    explicit FailureListener(const doctest::ContextOptions& /*options*/) {}

    void report_query(const doctest::QueryData& /*data*/) override {}
    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats& stats) override {
        if (stats.numTestCasesPassingFilters == 0) {
            say("no test case to run");
            muster::MpiSession::abort(1);
        }
    }
    void test_case_start(const doctest::TestCaseData& data) override {
        test_ = data.m_name;
        world->barrier();  // a fast rank's messages must not reach another's previous test case
    }
    void test_case_reenter(const doctest::TestCaseData& /*data*/) override {}
    void test_case_end(const doctest::CurrentTestCaseStats& /*stats*/) override {}
    void test_case_exception(const doctest::TestCaseException& exception) override {
        say(muster::cat("TEST CASE ", test_, ": ", exception.error_string.c_str()));
        if (world->size() > 1) muster::MpiSession::abort(1);
    }
    void subcase_start(const doctest::SubcaseSignature& /*signature*/) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData& data) override {
        if (!data.m_failed) return;
        say(muster::cat(data.m_file, ":", data.m_line, ": TEST CASE ", test_, ": ", data.m_expr,
                        " values: ", data.m_decomp.c_str(),
                        data.m_threw ? muster::cat(" threw ", data.m_exception.c_str()) : ""));
        const bool ends_test = (data.m_at & doctest::assertType::is_require) != 0;
        if (ends_test && world->size() > 1) muster::MpiSession::abort(1);
    }
    void log_message(const doctest::MessageData& /*data*/) override {}
    void test_case_skipped(const doctest::TestCaseData& /*data*/) override {}

 private:
    std::string test_;
};
REGISTER_LISTENER("failures", 1, FailureListener);

class NullBuffer : public std::streambuf {
    int overflow(int c) override { return c; }
};

}  // namespace

const muster::Communicator& test_world() {
    return *world;
}

int main(int argc, char** argv) {
    const muster::MpiSession session(&argc, &argv);
    const auto comm = muster::Communicator::world();
    world = &comm;

    NullBuffer nowhere;
    std::ostream silent(&nowhere);
    doctest::Context context(argc, argv);
    if (!comm.is_root()) context.setCout(&silent);
    const int failed = context.run();
    return comm.max(failed) == 0 ? 0 : 1;
}
