#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "../error_message.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"

using namespace muster;

namespace {

Value parse(std::string_view text) {
    return parse_json(text, "f");
}
std::string round(std::string_view text) {
    return to_json(parse(text));
}
std::string error(std::string_view text, DuplicateKeys keys = DuplicateKeys::last_wins) {
    return test::error_message<UserError>([&] { parse_json(text, "f", keys); });
}
std::string nested(std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
}

}  // namespace

TEST_CASE("JSON comes back as it went in, keys in order") {
    for (const char* text :
         {R"({"b":1,"a":[true,false,null,-2.5,"x"],"":{}})", "[]", "\"\"", "0", "-7", "1.5", "null",
          R"("\"\\\n\r\t\b\f\u0001é😀")", R"([1e-07,1e+16,123456789.125,0.0001])"})
        CHECK(round(text) == text);
    CHECK(round(" [ 1 , 2 ]\n") == "[1,2]");
    CHECK(round(R"("\u00e9\ud83d\ude00\/")") == "\"é😀/\"");
}

TEST_CASE("indented JSON") {
    CHECK(to_json(parse(R"({"a":[1,{}],"b":[]})"), 2) ==
          "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
}

TEST_CASE("reals keep their value and their kind") {
    for (double value : {0.0, -0.0, 1.0, 0.1, 1e15, 1e16, 1e22, 1e-4, 1e-5, 5e-324, 123456.789,
                         std::numeric_limits<double>::max(), -1.0 / 3}) {
        Value again = parse(to_json(value));
        CHECK(again.is_real());
        CHECK(again.as_real() == value);
        CHECK(std::signbit(again.as_real()) == std::signbit(value));
    }
    CHECK(to_json(1e15) == "1000000000000000.0");
    CHECK(to_json(100.0) == "100.0");
}

TEST_CASE("integers have 64 bits and become reals beyond") {
    CHECK(parse("9223372036854775807") == Value(std::numeric_limits<std::int64_t>::max()));
    CHECK(parse("-9223372036854775808") == Value(std::numeric_limits<std::int64_t>::min()));
    CHECK(parse("9223372036854775808") == Value(9223372036854775808.0));
    CHECK(parse("18446744073709551615") == Value(18446744073709551615.0));
    CHECK(parse("-9223372036854775809") == Value(-9223372036854775809.0));
    CHECK(parse("100000000000000000000") == Value(1e20));
}

TEST_CASE("what Python's json writes beyond the standard is read") {
    CHECK(std::isnan(parse("NaN").as_real()));
    CHECK(parse("[Infinity,-Infinity]") == Value(Array{HUGE_VAL, -HUGE_VAL}));
    CHECK(parse("[1e400,-1e400,1e-400]") == Value(Array{HUGE_VAL, -HUGE_VAL, 0.0}));
    CHECK(parse(std::string(400, '9')) == Value(HUGE_VAL));
    CHECK(parse("[NaN, 0.5e-3, 0.0e-0]").as_array()[1] == Value(0.5e-3));
    CHECK(parse(R"({"NaN": "NaN Infinity", "x": Infinity})").find("NaN")->as_string() ==
          "NaN Infinity");
    CHECK(to_json(parse("[NaN,Infinity,-Infinity]")) == "[NaN,Infinity,-Infinity]");
}

TEST_CASE("half a surrogate pair becomes U+FFFD, a whole one its character") {
    CHECK(parse(R"("\ud800")") == Value("\uFFFD"));
    CHECK(parse(R"("\udc00x")") == Value("\uFFFDx"));
    CHECK(parse(R"("\ud800\ud83d\ude00")") == Value("\uFFFD\U0001F600"));
    CHECK(parse(R"("\ud83d\u0041\\ud800")") == Value("\uFFFDA\\ud800"));
}

TEST_CASE("errors say line and column") {
    CHECK(error("[1,\n 2,\n }").starts_with("f:3:2: "));
    CHECK(error("").starts_with("f:1:1: "));
    CHECK(error("[1] x").starts_with("f:1:5: "));
    CHECK(error("{\"a\":\n\"é\" 1}").starts_with("f:2:5: "));
    CHECK(error("[NaN, -Infinity, \"\\ud800\",\n  \"\\ud800\", 1e999, x]").starts_with("f:2:20: "));
    for (std::string bad :
         {"[1,]",      "{\"a\"}", "{a:1}",     "01",        "+1",         "1.",      ".5",
          "'a'",       "tru",     "[",         "\"",        "\"\n\"",     "\"\\x\"", "\"\\u12\"",
          "\"\\ud800", "-",       "--1",       "/**/1",     "NaNx",       "-NaN1",   "NaN1",
          "1NaN",      "-NaN",    "1Infinity", "Infinity1", "--Infinity", "NaN.",    "[1e400NaN]",
          "Inf",       "nan",     "1 2",       "{\"a\":1,}"}) {
        CAPTURE(bad);
        CHECK(error(bad).starts_with("f:1:"));
    }
}

TEST_CASE("bytes that are not UTF-8 are refused with their place") {
    CHECK(error("[\n\"a\xFF\"]") == "f:2:3: byte 0xff is not UTF-8; text files must be UTF-8");
    CHECK(error("\"\xED\xA0\x80\"").starts_with("f:1:2: byte 0xed"));
    CHECK(error("\"\uFFFD\xC0\"").starts_with("f:1:3: byte 0xc0"));
}

TEST_CASE("depth is limited") {
    CHECK(parse(nested(200)).is_array());
    CHECK(error(nested(201)) == "f:1:201: nested deeper than 200");
    CHECK(error(std::string(1000000, '[')) == "f:1:201: nested deeper than 200");
    CHECK(error(std::string(1000000, '[') + "NaN") == "f:1:201: nested deeper than 200");
}

TEST_CASE("a repeated key is an error in configuration, and the last one wins in data") {
    const char* text = "{\"a\":1,\n \"b\":2, \"a\":3}";
    CHECK(round(text) == R"({"a":3,"b":2})");
    CHECK(error(text, DuplicateKeys::error) == "f:2:11: key \"a\" appears twice in this object");
    CHECK(error(R"({"a":NaN,"a":1})", DuplicateKeys::error) ==
          "f:1:12: key \"a\" appears twice in this object");
    CHECK(parse_json(R"([{"a":1},{"a":1}])", "f", DuplicateKeys::error).is_array());
}

TEST_CASE("an object of 300,000 keys is read and indexed") {
    std::string text = "{\"first\":0";
    for (int i = 0; i < 300000; ++i) text += cat(",\"token", i, "\":", i);
    Value value = parse(text + "}");
    CHECK(value.as_object().size() == 300001);
    for (int i = 0; i < 300000; i += 1000) REQUIRE(*value.find(cat("token", i)) == Value(i));
}
