#include "stop_matcher.h"

#include <doctest/doctest.h>

using namespace muster;

TEST_CASE("a stop string is found wherever the pieces are cut") {
    const std::string text = "Antwort: zwölf\n\nQuestion: next";
    for (const std::string stop : {"\n\n", "Question:", "ö", "lf\n", "A", "next"}) {
        const std::size_t end = text.find(stop) + stop.size();
        for (std::size_t step = 1; step <= text.size(); ++step) {
            StopMatcher matcher({stop});
            std::size_t done = 0;
            while (done < text.size() && !matcher.stopped()) {
                const bool stopped = matcher.push(std::string_view(text).substr(done, step));
                done = std::min(done + step, text.size());
                CHECK(stopped == (done >= end));
            }
            CHECK(matcher.stopped());
        }
    }
}

TEST_CASE("the first of several stops ends the text, and it stays ended") {
    StopMatcher matcher({"xyz", "b"});
    CHECK_FALSE(matcher.push("axy"));
    CHECK(matcher.push("b"));
    CHECK(matcher.push("more"));
}

TEST_CASE("a stop string that almost repeats itself is found") {
    StopMatcher matcher({"aab"});
    CHECK_FALSE(matcher.push("aaa"));
    CHECK_FALSE(matcher.push("a"));
    CHECK(matcher.push("b"));
}

TEST_CASE("no stops and empty stops never match") {
    StopMatcher none({}), empty({"", ""});
    CHECK_FALSE(none.push("text"));
    CHECK_FALSE(empty.push("text"));
    CHECK_FALSE(empty.push(""));
}

TEST_CASE("text is cut by each stop in turn, as Python's split does") {
    CHECK(cut_at_stops("one. two; three", {";", "."}) == "one");
    CHECK(cut_at_stops("one", {";", ""}) == "one");
    CHECK(cut_at_stops("\nrest", {"\n"}) == "");
    // "ab" would occur first, but "b" has already been cut away.
    CHECK(cut_at_stops("xab", {"b", "ab"}) == "xa");
    CHECK(cut_at_stops("xab", {"ab", "b"}) == "x");
}
