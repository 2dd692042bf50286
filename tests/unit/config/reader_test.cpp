#include "muster/config/reader.h"

#include <doctest/doctest.h>

#include "../error_message.h"
#include "muster/base/error.h"
#include "muster/config/parse.h"

using namespace muster;

namespace {

ConfigReader reader_of(std::string_view json) {
    return {parse_json(json, "f"), "f"};
}
std::string problems(ConfigReader& reader) {
    return test::error_message<UserError>([&] { reader.finish(); });
}
// What `read` complains about, unknown keys aside.
template <typename F>
std::string complaint(std::string_view json, F&& read) {
    ConfigReader reader = reader_of(json);
    read(reader);
    reader.ignore_rest();
    return problems(reader);
}
const std::string kNothing = "nothing was thrown";

}  // namespace

TEST_CASE("well-typed values are read and nothing is complained about") {
    ConfigReader reader = reader_of(
        R"({"s":"x","i":3,"r":2,"b":true,"l":["a","b"],"one":"a","c":"red","n":null,"any":[1]})");
    CHECK(reader.string("s") == "x");
    CHECK(reader.integer("i", {.min = 1, .max = 3}) == 3);
    CHECK(reader.real("r") == 2.0);
    CHECK(reader.boolean("b"));
    CHECK(reader.strings_or("l", {}) == std::vector<std::string>{"a", "b"});
    CHECK(reader.strings_or("one", {}) == std::vector<std::string>{"a"});
    CHECK(reader.choice_or("c", "blue", {"red", "blue"}) == "red");
    CHECK(reader.integer_or("n", 5) == 5);  // null is absent
    CHECK_FALSE(reader.has("n"));
    CHECK(reader.has("s"));
    CHECK(reader.value("any") == Value(Array{1}));
    CHECK(reader.value("none").is_null());
    reader.finish();
}

TEST_CASE("absent optional keys give their defaults") {
    ConfigReader reader = reader_of("{}");
    CHECK(reader.string_or("a", "d") == "d");
    CHECK(reader.integer_or("a", -1, {.min = 1}) == -1);  // a default may lie outside
    CHECK(reader.real_or("a", 0.5) == 0.5);
    CHECK(reader.boolean_or("a", true));
    CHECK_FALSE(reader.optional_integer("a"));
    CHECK_FALSE(reader.optional_real("a"));
    CHECK_FALSE(reader.optional_string("a"));
    CHECK_FALSE(reader.optional_boolean("a"));
    CHECK(reader.choice_or("a", "x", {"x"}) == "x");
    CHECK(reader.objects("a").empty());
    reader.object("a").finish();
}

TEST_CASE("each problem names source, place, fact and expectation") {
    CHECK(complaint("{}", [](auto& r) { r.string("s"); }) == "f: /s: required key is missing");
    CHECK(complaint(R"({"s":null})", [](auto& r) { r.string("s"); }) ==
          "f: /s: expected a string, got null");
    CHECK(complaint(R"({"i":"3"})", [](auto& r) { r.integer("i"); }) ==
          "f: /i: expected an integer, got a string (\"3\")");
    CHECK(complaint(R"({"i":2.5})", [](auto& r) { r.integer_or("i", 1); }) ==
          "f: /i: expected an integer, got a real number (2.5)");
    CHECK(complaint(R"({"i":0})", [](auto& r) { r.integer("i", {.min = 1}); }) ==
          "f: /i: 0 is out of range; expected at least 1");
    CHECK(complaint(R"({"i":9})", [](auto& r) { r.integer_or("i", 1, {.max = 8}); }) ==
          "f: /i: 9 is out of range; expected at most 8");
    CHECK(complaint(R"({"r":1.5})", [](auto& r) { r.real("r", {.min = 0, .max = 1}); }) ==
          "f: /r: 1.5 is out of range; expected 0.0 to 1.0");
    CHECK(complaint(R"({"r":NaN})", [](auto& r) { r.real("r"); }) ==
          "f: /r: NaN is out of range; expected a finite number");
    CHECK(complaint(R"({"b":1})", [](auto& r) { r.boolean("b"); }) ==
          "f: /b: expected true or false, got an integer (1)");
    CHECK(complaint(R"({"l":["a",1]})", [](auto& r) { r.strings_or("l", {}); }) ==
          "f: /l: expected only strings in this array, got an integer (1)");
    CHECK(complaint(R"({"l":1})", [](auto& r) { r.strings_or("l", {}); }) ==
          "f: /l: expected a string or an array of strings, got an integer (1)");
    CHECK(complaint(R"({"c":"rad"})", [](auto& r) {
              r.choice_or("c", "", {"red", "blue"});
          }) == "f: /c: unknown value \"rad\"; expected one of red, blue; did you mean \"red\"?");
    CHECK(complaint(R"({"o":[]})", [](auto& r) { r.object("o"); }) ==
          "f: /o: expected an object, got an array");
    CHECK(complaint(R"({"o":[{},3]})", [](auto& r) { r.objects("o"); }) ==
          "f: /o/1: expected an object, got an integer (3)");
    CHECK(complaint(R"({"o":{}})", [](auto& r) { r.objects("o"); }) ==
          "f: /o: expected an array of objects, got an object");
    CHECK(complaint("[]", [](auto&) {}) == "f: expected an object, got an array");
    CHECK(complaint("{}", [](auto& r) { r.problem("", "too empty"); }) == "f: too empty");
}

TEST_CASE("a long value is cut in messages, between characters") {
    std::string message =
        complaint(R"({"i":"a)" + std::string(99, 'b') + R"("})", [](auto& r) { r.integer("i"); });
    CHECK(message.size() < 120);
    CHECK(message.ends_with("b…)"));
}

TEST_CASE("unknown keys are refused with a suggestion, at every level") {
    ConfigReader reader =
        reader_of(R"({"limit":1,"tasks":[{"shotz":1},{"shots":2}],"a/b~c":{"zzzzz":1}})");
    reader.integer("limit");
    for (ConfigReader& task : reader.objects("tasks")) task.integer_or("shots", 0);
    ConfigReader odd = reader.object("a/b~c");
    CHECK(odd.path() == "/a~1b~0c");
    CHECK(problems(reader) ==
          "f: /a~1b~0c/zzzzz: unknown key\n"
          "f: /tasks/0/shotz: unknown key; did you mean \"shots\"?");
}

TEST_CASE("all problems come in one error, whoever finishes") {
    ConfigReader reader = reader_of(R"({"a":"x","o":{"b":1}})");
    reader.integer("a");
    ConfigReader inner = reader.object("o");
    inner.string("b");
    inner.string("c");
    CHECK(problems(inner) ==
          "f: /a: expected an integer, got a string (\"x\")\n"
          "f: /o/b: expected a string, got an integer (1)\n"
          "f: /o/c: required key is missing");
}

TEST_CASE("ignored keys are known, and an object read twice is one object") {
    ConfigReader reader = reader_of(R"({"a":1,"o":{"x":1,"y":2},"p":{"any":1}})");
    reader.ignore("a");
    reader.object("o").integer("x");
    reader.object("o").integer("y");
    reader.object("p").ignore_rest();
    CHECK(problems(reader) == kNothing);
}
