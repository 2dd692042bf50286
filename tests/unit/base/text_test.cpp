#include "muster/base/text.h"

#include <doctest/doctest.h>

#include <limits>

using namespace muster;
using Strings = std::vector<std::string>;

TEST_CASE("cat joins what operator<< prints") {
    CHECK(cat("rank ", 3, " of ", 4u, '!') == "rank 3 of 4!");
}

TEST_CASE("split keeps empty parts and join is its inverse") {
    CHECK(split("a,,b", ',') == Strings{"a", "", "b"});
    CHECK(split("", ',') == Strings{""});
    CHECK(split(",", ',') == Strings{"", ""});
    CHECK(join({}, ", ") == "");
    CHECK(join({"a"}, ", ") == "a");
    CHECK(join(split("x/y//z", '/'), "/") == "x/y//z");
}

TEST_CASE("trim removes ASCII blanks at both ends only") {
    CHECK(trim(" \t\r\n\v\fa b\n") == "a b");
    CHECK(trim("   ") == "");
    CHECK(trim("\xC2\xA0x") == "\xC2\xA0x");
}

TEST_CASE("matches_glob") {
    CHECK(matches_glob("mmlu_*", "mmlu_"));
    CHECK(matches_glob("mmlu_*", "mmlu_law"));
    CHECK_FALSE(matches_glob("mmlu_*", "xmmlu_law"));
    CHECK(matches_glob("*a*b?", "xxaxxabc"));
    CHECK_FALSE(matches_glob("*a*b?", "xxaxxab"));
    CHECK(matches_glob("", ""));
    CHECK_FALSE(matches_glob("", "a"));
    CHECK(matches_glob("**", ""));
    CHECK_FALSE(matches_glob("?", ""));
    CHECK(matches_glob("[a]", "[a]"));
}

TEST_CASE("matches_glob does not explode on many stars") {
    std::string pattern, text(2000, 'a');
    for (int i = 0; i < 200; ++i) pattern += "*a";
    CHECK_FALSE(matches_glob(pattern + "b", text));
}

TEST_CASE("closest_match suggests what is near and stays silent otherwise") {
    Strings keys{"shots", "limit", "tasks", "seed"};
    CHECK(closest_match("shotz", keys) == "shots");
    CHECK(closest_match("lmiit", keys) == "limit");  // two neighbours swapped
    CHECK(closest_match("task", keys) == "tasks");
    CHECK(closest_match("temperature", keys) == "");
    CHECK(closest_match("x", keys) == "");
    CHECK(closest_match("a", {"b"}) == "");  // nothing in common
    CHECK(closest_match("", keys) == "");
    CHECK(closest_match("x", {}) == "");
    CHECK(did_you_mean("shotz", keys) == "; did you mean \"shots\"?");
    CHECK(did_you_mean("temperature", keys) == "");
}

TEST_CASE("parse_bytes") {
    CHECK(parse_bytes("0") == 0u);
    CHECK(parse_bytes("123") == 123u);
    CHECK(parse_bytes("123 B") == 123u);
    CHECK(parse_bytes("2k") == 2048u);
    CHECK(parse_bytes("2KiB") == 2048u);
    CHECK(parse_bytes("2KB") == 2000u);
    CHECK(parse_bytes(" 1.5 GiB ") == std::uint64_t{3} << 29);
    CHECK(parse_bytes("4T") == std::uint64_t{4} << 40);
    for (const char* text :
         {"", "G", "-1", "1X", "1KK", "1iB", "1 2", "1e9", "nan", "inf", "9999999T"})
        CHECK_MESSAGE(!parse_bytes(text), text);
}

TEST_CASE("format_bytes, format_duration, format_count") {
    CHECK(format_bytes(0) == "0 B");
    CHECK(format_bytes(1023) == "1023 B");
    CHECK(format_bytes(1536) == "1.5 KiB");
    CHECK(format_bytes(1024 * 1024 - 1) == "1.0 MiB");
    CHECK(format_bytes(std::uint64_t{3} << 40) == "3.0 TiB");
    CHECK(format_bytes(std::numeric_limits<std::uint64_t>::max()) == "16.0 EiB");
    CHECK(format_duration(0) == "0.0 s");
    CHECK(format_duration(12.34) == "12.3 s");
    CHECK(format_duration(59.96) == "1:00");
    CHECK(format_duration(125) == "2:05");
    CHECK(format_duration(3723) == "1:02:03");
    CHECK(format_duration(1e6) == "277:46:40");
    CHECK(format_duration(-1) == "?");
    CHECK(format_duration(std::numeric_limits<double>::quiet_NaN()) == "?");
    CHECK(format_count(0) == "0");
    CHECK(format_count(999) == "999");
    CHECK(format_count(1000) == "1,000");
    CHECK(format_count(1234567) == "1,234,567");
}
