// Expected values were checked against pandas.read_csv (pandas 3.1) for the same texts.
#include <doctest/doctest.h>

#include "muster/base/error.h"
#include "muster/config/parse.h"
#include "muster/task/dataset.h"
#include "unit/error_message.h"

using namespace muster;

namespace {

std::string json_of(const std::vector<Value>& rows) {
    std::string text;
    for (const Value& row : rows) text += to_json(row) + "\n";
    return text;
}

std::string error_of(std::string_view text) {
    return test::error_message<UserError>([&] { parse_csv(text, ',', "t.csv"); });
}

}  // namespace

TEST_CASE("quotes, quoted newlines and CRLF") {
    CHECK(json_of(parse_csv("q,a\r\n\"one\r\ntwo, \"\"three\"\"\",x\r\n5\" disk,\"ab\"c\r\n", ',',
                            "t")) ==
          "{\"q\":\"one\\r\\ntwo, \\\"three\\\"\",\"a\":\"x\"}\n{\"q\":\"5\\\" "
          "disk\",\"a\":\"abc\"}\n");
}

TEST_CASE("byte order mark, blank lines, a last line without an end") {
    CHECK(json_of(parse_csv("\xEF\xBB\xBFq,a\n\nx,y\n   \nz,w", ',', "t")) ==
          "{\"q\":\"x\",\"a\":\"y\"}\n{\"q\":\"z\",\"a\":\"w\"}\n");
}

TEST_CASE("columns are integers, reals, booleans or text as a whole") {
    const std::string text = "i,r,b,t,gap,n,mixed\n1,1,True,1,1,,1\n-2,2.50,false,x,,,\n";
    CHECK(json_of(parse_csv(text, ',', "t")) ==
          "{\"i\":1,\"r\":1.0,\"b\":true,\"t\":\"1\",\"gap\":1.0,\"n\":null,\"mixed\":1.0}\n"
          "{\"i\":-2,\"r\":2.5,\"b\":false,\"t\":\"x\",\"gap\":null,\"n\":null,\"mixed\":null}\n");
}

TEST_CASE("what pandas takes for missing is null") {
    CHECK(json_of(parse_csv("a,b\nNone,x\nN/A,NULL\nnone,nil\n", ',', "t")) ==
          "{\"a\":null,\"b\":\"x\"}\n{\"a\":null,\"b\":null}\n{\"a\":\"none\",\"b\":\"nil\"}\n");
}

TEST_CASE("integers beyond 64 bits stay text") {
    CHECK(json_of(parse_csv("a\n123456789012345678901\n5\n", ',', "t")) ==
          "{\"a\":\"123456789012345678901\"}\n{\"a\":\"5\"}\n");
}

TEST_CASE("numbers out of range") {
    CHECK(json_of(parse_csv("a,b\n1e400,1.5\n-1e400,99999999999999999999\n1e-400,2\n", ',', "t")) ==
          "{\"a\":Infinity,\"b\":1.5}\n{\"a\":-Infinity,\"b\":1e+20}\n{\"a\":0.0,\"b\":2.0}\n");
}

TEST_CASE("header names as pandas makes them") {
    CHECK(json_of(parse_csv(",q,q\n0,a,b\n", ',', "t")) ==
          "{\"Unnamed: 0\":0,\"q\":\"a\",\"q.1\":\"b\"}\n");
}

TEST_CASE("tabs") {
    CHECK(json_of(parse_csv("a\tb\n1,5\tx y\n", '\t', "t")) == "{\"a\":\"1,5\",\"b\":\"x y\"}\n");
}

TEST_CASE("stated types and names win over guesses") {
    DatasetOptions options;
    options.features.set("a", "string");
    options.features.set("n", "int64");
    options.keep_default_na = false;
    CHECK(json_of(parse_csv("a,n\n1.50,7\nNone,8\n", options, "t")) ==
          "{\"a\":\"1.50\",\"n\":7}\n{\"a\":\"None\",\"n\":8}\n");
    const std::string message =
        test::error_message<UserError>([&] { parse_csv("a,n\nx,y\n", options, "t.csv"); });
    CHECK(message == "t.csv: column \"n\", row 0: \"y\"; expected int64");

    DatasetOptions names;
    names.column_names = {"p", "q"};
    names.has_header = false;
    CHECK(json_of(parse_csv("1,2\n3,4\n", names, "t")) == "{\"p\":1,\"q\":2}\n{\"p\":3,\"q\":4}\n");
}

TEST_CASE("errors name place and line") {
    CHECK(error_of("a,b\n1,2\n3\n") == "t.csv:3: 1 cells; expected 2 as in the header");
    CHECK(error_of("a,b\n1,\"x\ny\n") == "t.csv:2: a quote opens here and is never closed");
    CHECK(error_of("") == "t.csv: empty; expected a header line");
    CHECK(error_of("a\nx\n\xff\n") == "t.csv:3: not valid UTF-8; convert the file to UTF-8");
}
