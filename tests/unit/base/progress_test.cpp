#include "muster/base/progress.h"

#include <doctest/doctest.h>
#include <pty.h>
#include <unistd.h>

#include "muster/base/log.h"
#include "muster/base/utf8.h"
#include "progress_text.h"
#include "stderr_capture.h"

using namespace muster;

TEST_CASE("the line says how far, how fast and how long") {
    ProgressState state{"score", "tokens", "mmlu 3/7", 600, 1200, 10, false};
    CHECK(progress_line(state) ==
          "score: 50% of 1,200 tokens, 60.0 tokens/s, 10.0 s left, mmlu 3/7");
    state.done = 1200;
    state.last = true;
    state.note = "";
    CHECK(progress_line(state) == "score: 100% of 1,200 tokens, 120 tokens/s, in 10.0 s");
}

TEST_CASE("the line makes no claim that it cannot: nothing done, no total, almost done") {
    CHECK(progress_line({"a", "u", "", 0, 10, 0, false}) == "a: 0% of 10 u, 0.000 u/s");
    CHECK(progress_line({"a", "u", "", 0, 0, 1, true}) == "a: 100% of 0 u, 0.000 u/s, in 1.0 s");
    CHECK(progress_line({"a", "u", "", 999999, 1000000, 1, false}).starts_with("a: 99% of"));
    CHECK(progress_line({"a", "u", "", 20, 10, 1, false}).starts_with("a: 100% of"));
}

TEST_CASE("the bar fits the width given, in characters") {
    ProgressState state{"score", "tokens", "läßt 3/7", 600, 1200, 10, false};
    CHECK(progress_bar(state, 80) ==
          "score [###############               ] 50% 60.0 tokens/s 10.0 s left läßt 3/7");
    for (std::size_t width = 0; width < 90; ++width) {
        std::string bar = progress_bar(state, width);
        CHECK(count_code_points(bar) <= width);
        CHECK(is_valid_utf8(bar));
    }
}

TEST_CASE("without a terminal updates are silent until due and finish prints once") {
    configure_log(Verbosity::normal, "", true);
    auto work = [] {
        Progress progress("load", "bytes", 4);
        for (std::uint64_t i = 1; i <= 4; ++i) progress.update(i);
        progress.finish();
        progress.finish();
        progress.update(4);
    };
    std::string text = test::stderr_of(work);
    CHECK(text.starts_with("load: 100% of 4 bytes, "));
    CHECK(std::count(text.begin(), text.end(), '\n') == 1);
    configure_log(Verbosity::quiet, "", true);
    CHECK(test::stderr_of(work) == "");
    configure_log(Verbosity::normal, "", false);
    CHECK(test::stderr_of(work) == "");
    configure_log(Verbosity::normal, "", true);
}

TEST_CASE("on a terminal a bar is redrawn in place, and a log line clears it first") {
    int master = -1, slave = -1;
    winsize size{24, 40, 0, 0};
    REQUIRE(openpty(&master, &slave, nullptr, nullptr, &size) == 0);
    int saved = dup(STDERR_FILENO);
    dup2(slave, STDERR_FILENO);
    {
        Progress progress("score", "tokens", 10);
        progress.update(1, "a rather long note that does not fit");
        progress.update(2);  // not due yet
        info("hello");
        progress.update(10);
        progress.finish();
    }
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(slave);
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = read(master, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(n));
    close(master);
    std::size_t hello = text.find("\r\033[Khello\r\n");
    REQUIRE(hello != std::string::npos);
    CHECK(text.starts_with("\r\033[Kscore [#         ] 10% "));
    CHECK(count_code_points(text.substr(4, hello - 4)) <= 39);
    CHECK(text.find("[##        ]") == std::string::npos);
    CHECK(text.substr(hello + 11).starts_with("\r\033[Kscore [##########] 100% "));
    CHECK(text.ends_with("\r\n"));
}
