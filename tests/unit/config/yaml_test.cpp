#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "../error_message.h"
#include "../temporary_folder.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "yaml_scalar.h"
#include "yaml_scalar_table.h"

using namespace muster;

namespace {

std::string yaml(std::string_view text) {
    return to_json(parse_yaml(text, "f"));
}
std::string error(std::string_view text) {
    return test::error_message<UserError>([&] { parse_yaml(text, "f"); });
}

}  // namespace

TEST_CASE("plain scalars mean what PyYAML makes of them") {
    for (const auto& [scalar, expected] : kYamlScalars) {
        CAPTURE(scalar);
        CHECK(to_json(resolve_yaml_scalar(scalar)) == expected);
        CHECK(yaml(cat("a: ", scalar)) == cat("{\"a\":", expected, "}"));
    }
}

TEST_CASE("quoted, block and !!str scalars stay text") {
    CHECK(yaml("['no', \"1\", !!str 1, !!str yes, !!str]") == R"(["no","1","1","yes",""])");
    CHECK(yaml("a: |\n  x\n   y\n") == R"({"a":"x\n y\n"})");
    CHECK(yaml("a: >-\n  x\n  y\n") == R"({"a":"x y"})");
    CHECK(yaml("a: |+\n  x\n\n\nb: 1") == R"({"a":"x\n\n\n","b":1})");
    CHECK(error("a: >+\n  x\n").find("(>+) is not supported") != std::string::npos);
    CHECK(yaml("a: |-\n  yes\n") == R"({"a":"yes"})");
    CHECK(yaml("\"\\u00e9\\n\\x41\"") == R"("é\nA")");
    CHECK(yaml(R"("\a\b\t\n\v\f\r\e\ \"\/\\\x41\u00e9\U0001F600")") ==
          R"("\u0007\b\t\n\u000b\f\r\u001b \"/\\Aé😀")");
    CHECK(yaml(R"("é\N\_\L\P\x85")") == "\"é\u0085\u00A0\u2028\u2029\u0085\"");
    CHECK(yaml(R"([!"\N", !!str"\N", &a "\N", ! "\N"])") ==
          "[\"\u0085\",\"\u0085\",\"\u0085\",\"\u0085\"]");
    CHECK(yaml(R"("\0")") == R"("\u0000")");
}

// Expected: yaml.safe_load(text)["a"] of PyYAML 6.0.
TEST_CASE("line breaks in quoted text fold, to the last one before the closing quote") {
    const std::pair<const char*, const char*> cases[] = {
        {"'x\n  '", "x "},           {"'x\n\n  '", "x\n"},
        {"'x\n\n\n  '", "x\n\n"},    {"'\n\n  '", "\n"},
        {"' x \t\n  y '", " x y "},  {"'x\n\n\n  y'", "x\n\ny"},
        {"'it''s'", "it's"},         {"\"x\\\n  y\"", "xy"},
        {"\"x\\\n\n  y\"", "x\ny"},  {"\"x \\\n  \\ y\"", "x  y"},
        {"\"\n\n\n  \"", "\n\n"},    {"'x\r\n\r\n  '", "x\n"},
        {"&n 'x\n\n\n  '", "x\n\n"}, {"!!str\n  'x\n\n\n  '", "x\n\n"}};
    for (const auto& [text, expected] : cases) {
        CAPTURE(text);
        CHECK(*parse_yaml(cat("a: ", text), "f").find("a") == Value(expected));
    }
    CHECK(yaml("'x  y': 1\nb: !!str\n\"c\": 2") == R"({"x  y":1,"b":"","c":2})");
}

TEST_CASE("standard tags convert or complain, !function is kept, others are refused") {
    CHECK(yaml("[!!int '12', !!float 1, !!bool 'yes', !!null '', !!float .5]") ==
          "[12,1.0,true,null,0.5]");
    CHECK(error("a: !!int x").starts_with("f:1:4: \"x\" is not of the type"));
    CHECK(yaml("a: !function utils.process") == R"({"a":{"!function":"utils.process"}})");
    CHECK(error("a:\n  - !include x") ==
          "f:2:5: tag !include is not known here; expected !function or a standard tag");
    CHECK(error("!!python/object:os.system {}").starts_with("f:1:1: tag tag:yaml.org"));
    CHECK(error("!!set {a}").starts_with("f:1:1: tag"));
    CHECK(yaml("!!map {a: !!seq [1]}") == R"({"a":[1]})");
}

TEST_CASE("empty documents and values are null") {
    CHECK(yaml("") == "null");
    CHECK(yaml("# only a comment\n") == "null");
    CHECK(yaml("---\n") == "null");
    CHECK(yaml("a:\nb: ~\n") == R"({"a":null,"b":null})");
    CHECK(yaml("- \n- 1") == "[null,1]");
}

TEST_CASE("keys are the text that stands there") {
    CHECK(yaml("1: a\nyes: b\n'x y': c") == R"({"1":"a","yes":"b","x y":"c"})");
    CHECK(error("a: 1\nb: 2\na: 3") == "f:3:1: key \"a\" appears twice in this mapping");
    CHECK(to_json(parse_yaml("a: 1\nb: 2\na: 3", "f", DuplicateKeys::last_wins)) ==
          R"({"a":3,"b":2})");
    CHECK(error("? [1]\n: 2").starts_with("f:1:3: a key must be text"));
    CHECK(error("? {a: 1}\n: 2").starts_with("f:1:3: a key must be text"));
    CHECK(error("~: 1").starts_with("f:1:1: null is not a key"));
}

TEST_CASE("anchors, aliases and merge keys") {
    CHECK(yaml("a: &x [1, 2]\nb: *x") == R"({"a":[1,2],"b":[1,2]})");
    CHECK(yaml("&k key: *k") == R"({"key":"key"})");
    CHECK(yaml("a: &k name\n*k : 1") == R"({"a":"name","name":1})");
    // Expected: list(yaml.safe_load(text).items()) of PyYAML 6.0.
    CHECK(yaml("- &a {x: 1, y: 2}\n- {z: 0, <<: *a, y: 3}") ==
          R"([{"x":1,"y":2},{"x":1,"y":3,"z":0}])");
    CHECK(yaml("- &a {x: 1}\n- &b {x: 2, y: 2}\n- {<<: [*a, *b], w: 0}") ==
          R"([{"x":1},{"x":2,"y":2},{"x":1,"y":2,"w":0}])");
    CHECK(yaml("'<<': 1") == R"({"<<":1})");
    CHECK(error("<<: 1") == "f:1:5: << expects a mapping or a sequence of mappings");
    CHECK(error("<<: [{}, 2]").ends_with("<< expects a mapping or a sequence of mappings"));
    CHECK(error("a: *x").starts_with("f:1:4: "));
    CHECK(error("&x [1, *x]") == "f:1:8: this alias stands inside the node that it names");
}

TEST_CASE("aliases that multiply are stopped") {
    std::string bomb = "a0: &a0 [lol]\n";
    for (int i = 1; i < 30; ++i)
        bomb += cat("a", i, ": &a", i, " [*a", i - 1, ", *a", i - 1, ", *a", i - 1, "]\n");
    CHECK(error(bomb).find("larger than 5,000,000 nodes") != std::string::npos);
    std::string big = "a: &a " + std::string(1 << 20, 'x') + "\nb: [";
    for (int i = 0; i < 1000; ++i) big += "*a, ";
    CHECK(error(big + "]").find("larger than 5,000,000 nodes") != std::string::npos);
    std::string deep = "a0: &a0 [1]\n";
    for (int i = 1; i < 300; ++i) deep += cat("a", i, ": &a", i, " [*a", i - 1, "]\n");
    CHECK(error(deep).find("nested deeper than 200") != std::string::npos);
}

TEST_CASE("depth, syntax and encoding errors have a place") {
    CHECK(parse_yaml(std::string(200, '[') + std::string(200, ']'), "f").is_array());
    CHECK(error(std::string(201, '[') + std::string(201, ']')) ==
          "f:1:201: nested deeper than 200");
    CHECK(error("a: [1\nb: 2").starts_with("f:"));
    CHECK(error("a: 1\n\tb: 2").starts_with("f:2:"));
    for (const char* text : {"é: \"x", "é: \"x\n", "é: 'x\n", "é: 'x''\n", "é: \"x\\\"\n",
                             "é: \"x\nb: c\n", "é: &n \"x\n", "é: !!str 'x\n"}) {
        CAPTURE(text);
        CHECK(error(text).starts_with("f:"));
    }
    CHECK(error("a: 1\nb: [é, \"x\n]\n") == "f:2:8: this quote is never closed");
    CHECK(error("[[1]\n").ends_with("is a closing bracket missing?"));
    for (const char* text : {"a: ''", "a: 'x'''\n", "a: \"\\\\\"", "a: &n ''", "a: b'",
                             "a: |\n 'x\n", "\xEF\xBB\xBF'a': 'é'\n"})
        CHECK(parse_yaml(text, "f").is_object());
    CHECK(error("a: 1\n---\nb: 2") == "f:2:1: a second document begins here; expected one");
    CHECK(error("a: \xFF").starts_with("f:1:4: byte 0xff is not UTF-8"));
    CHECK(error(std::string("a: \0b", 5)).starts_with("f:1:4: control character 0x0 "));
}

TEST_CASE("parse_config_file goes by the name") {
    test::TemporaryFolder folder;
    std::string text = "{\"a\": yes}";
    CHECK(to_json(parse_config_file(folder.write("a.yaml", text))) == R"({"a":true})");
    CHECK(to_json(parse_config_file(folder.write("a.yml", text))) == R"({"a":true})");
    CHECK(to_json(parse_config_file(folder.write("x.y/_template", text))) == R"({"a":true})");
    std::string json = folder.write("a.json", text);
    CHECK(test::error_message<UserError>([&] {
              parse_config_file(json);
          }).starts_with(json + ":1:7: "));
    CHECK_THROWS_AS(parse_config_file(folder.write("b.json", R"({"a":1,"a":2})")), UserError);
    std::string toml = folder.write("a.toml", "");
    CHECK(test::error_message<UserError>([&] { parse_config_file(toml); }) ==
          toml + ": files ending in .toml are not read; expected .yaml, .yml or .json");
}
