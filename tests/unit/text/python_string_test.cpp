#include "muster/text/python_string.h"

#include <doctest/doctest.h>

#include <limits>

#include "muster/base/error.h"
#include "python_string_table.h"

// Expected values are CPython 3.11.7's.

using namespace muster;
using Parts = std::vector<std::string>;

TEST_CASE("case mapping") {
    for (const CaseRow& row : kCases) {
        CAPTURE(row.text);
        CHECK(python_lower(row.text) == row.lower);
        CHECK(python_upper(row.text) == row.upper);
        CHECK(python_title(row.text) == row.title);
        CHECK(python_capitalize(row.text) == row.capitalized);
    }
}

TEST_CASE("strip knows Unicode's blanks and Python's separators") {
    CHECK(python_strip("\u2003x\u3000y\x1c\u200b") == "x\u3000y\x1c\u200b");
    CHECK(python_strip(" \t\n\v\f\r\x1c\x1d\x1e\x1f\u0085\u00a0a\u2028\u205f") == "a");
    CHECK(python_strip("  ").empty());
    CHECK(python_lstrip("  a ") == "a ");
    CHECK(python_rstrip("  a ") == "  a");
    CHECK(python_strip("xxabcxx", "x") == "abc");
    CHECK(python_lstrip("éabcé", "é") == "abcé");
    CHECK(python_rstrip("日本", "本") == "日");
    CHECK(python_strip("abc", "") == "abc");
    CHECK(python_rstrip("\xa0") == "\xa0");  // a stray byte is no blank
    CHECK(python_rstrip("é", "\xa9") == "é");
}

TEST_CASE("split") {
    CHECK(python_split(" a  b ") == Parts{"a", "b"});
    CHECK(python_split(" a  b c ", 1) == Parts{"a", "b c "});
    CHECK(python_rsplit(" a  b c ", 1) == Parts{" a  b", "c"});
    CHECK(python_split("").empty());
    CHECK(python_split("a,b,,c", ",") == Parts{"a", "b", "", "c"});
    CHECK(python_split("a,b,,c", ",", 1) == Parts{"a", "b,,c"});
    CHECK(python_rsplit("a,b,,c", ",", 2) == Parts{"a,b", "", "c"});
    CHECK(python_split("", ",") == Parts{""});
    CHECK(python_split("aaa", "aa") == Parts{"", "a"});
    CHECK(python_rsplit("aaa", "aa") == Parts{"a", ""});
    CHECK_THROWS_AS(python_split("a", ""), UserError);
    CHECK_THROWS_AS(python_rsplit("a", ""), UserError);
}

TEST_CASE("splitlines") {
    CHECK(python_splitlines("a\r\nb\n\nc\u2028d\x0b"
                            "e") == Parts{"a", "b", "", "c", "d", "e"});
    CHECK(python_splitlines("a\n", true) == Parts{"a\n"});
    CHECK(python_splitlines("").empty());
}

TEST_CASE("replace") {
    CHECK(python_replace("abc", "", "-") == "-a-b-c-");
    CHECK(python_replace("abc", "", "-", 2) == "-a-bc");
    CHECK(python_replace("", "", "-") == "-");
    CHECK(python_replace("日本", "", "-") == "-日-本-");
    CHECK(python_replace("aaaa", "aa", "b", 1) == "baa");
    CHECK(python_replace("aaaa", "aa", "b") == "bb");
    CHECK(python_replace("aaaa", "a", "b", 0) == "aaaa");
}

TEST_CASE("repr of strings and reals") {
    for (const ReprRow& row : kStringReprs) CHECK(python_string_repr(row.text) == row.repr);
    for (const RealRow& row : kRealReprs) CHECK(python_float_repr(row.value) == row.repr);
    CHECK(python_float_repr(std::numeric_limits<double>::infinity()) == "inf");
    CHECK(python_float_repr(-std::numeric_limits<double>::infinity()) == "-inf");
    CHECK(python_float_repr(std::numeric_limits<double>::quiet_NaN()) == "nan");
}

TEST_CASE("repr and str of values") {
    Object object;
    object.set("k", 1);
    object.set("it's", Value(Array{Value(), true, 2.0, "x"}));
    CHECK(python_repr(Value(object)) == "{'k': 1, \"it's\": [None, True, 2.0, 'x']}");
    CHECK(python_str("x") == "x");
    CHECK(python_str(Value(Array{})) == "[]");
    CHECK(python_str(1e16) == "1e+16");
}

TEST_CASE("literals") {
    CHECK(python_literal("  'it\\'s'") == Value("it's"));
    CHECK(python_literal("[1, -2.5, True, None, 'a' \"b\", (1,), (2), (), 0x1f, 1_000,]") ==
          Value(Array{1, -2.5, true, Value(), "ab", Value(Array{1}), 2, Value(Array{}), 31, 1000}));
    CHECK(python_literal("1, 2\n") == Value(Array{1, 2}));
    CHECK(python_literal("'''a\n'b' '''") == Value("a\n'b' "));
    CHECK(python_literal("r'\\n' u'\\u00e9\\x41\\101\\q'") == Value("\\né"
                                                                    "AA\\q"));
    CHECK(python_literal("{'a': [1e3, .5, 1.], # comment\n 'b': {}}").find("a")->as_array() ==
          Array{1000.0, 0.5, 1.0});
    CHECK(python_literal("9223372036854775807").as_integer() == 9223372036854775807);
    CHECK(python_literal("-9223372036854775808").as_integer() ==
          std::numeric_limits<std::int64_t>::min());
    CHECK(python_literal("9223372036854775808").is_real());
    CHECK(python_literal("00") == Value(0));
}

TEST_CASE("what is no literal is refused") {
    for (const char* text :
         {"",     "a",    "1 +",   "[1",     "[1 2]",         "{'a'}", "{1: 2}", "'a", "'a\n'",
          "1 2",  "007",  "f()",   "'\\x4'", "'\\U00110000'", "'\\",   "--1",    "1e", "0x",
          "[1]]", "b'x'", "1.2.3", "(",      "{'a':}",        "{,}"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(python_literal(text), UserError);
    }
    CHECK_THROWS_AS(python_literal(std::string(100000, '[')), UserError);
}
