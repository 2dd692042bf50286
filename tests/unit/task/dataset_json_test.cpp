#include <doctest/doctest.h>

#include "muster/base/error.h"
#include "muster/config/parse.h"
#include "muster/task/dataset.h"
#include "unit/error_message.h"

using namespace muster;

namespace {

std::string json_of(std::string_view text, const std::string& place = "t.json") {
    std::string out;
    for (const Value& row : parse_json_rows(text, place)) out += to_json(row) + "\n";
    return out;
}

}  // namespace

TEST_CASE("JSON Lines, with blank lines and CRLF") {
    CHECK(json_of("{\"a\":1}\r\n\n{\"a\":2}") == "{\"a\":1}\n{\"a\":2}\n");
    CHECK(json_of("{\"a\":[{\"b\":1}]}\n", "t.jsonl") == "{\"a\":[{\"b\":1}]}\n");
    CHECK(json_of("") == "");
}

TEST_CASE("an array of objects, also over several lines") {
    CHECK(json_of("[\n {\"a\": 1},\n {\"a\": 2}\n]") == "{\"a\":1}\n{\"a\":2}\n");
}

TEST_CASE("an object around one array of objects") {
    CHECK(json_of("{\"canary\": \"x\", \"examples\": [{\"a\": 1}, {\"a\": 2}]}") ==
          "{\"a\":1}\n{\"a\":2}\n");
    CHECK(json_of("{\"q\": \"x\",\n \"options\": [\"u\", \"v\"]}") ==
          "{\"q\":\"x\",\"options\":[\"u\",\"v\"]}\n");
}

TEST_CASE("a column with integers and reals holds reals") {
    CHECK(json_of("{\"a\":1,\"b\":1}\n{\"a\":2.5,\"b\":2}\n") ==
          "{\"a\":1.0,\"b\":1}\n{\"a\":2.5,\"b\":2}\n");
}

TEST_CASE("errors name the line or row") {
    using test::error_message;
    const std::string broken =
        error_message<UserError>([] { parse_json_rows("{\"a\":1}\n{\"a\":}\n", "t.jsonl"); });
    CHECK(broken.find("t.jsonl: row on line 2:1:") == 0);
    CHECK(error_message<UserError>([] { parse_json_rows("[{\"a\":1}, 7]", "t.json"); }) ==
          "t.json: row 1 is an integer; expected an object");
}
