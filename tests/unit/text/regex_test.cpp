#include "muster/text/regex.h"

#include <doctest/doctest.h>

#include "muster/base/error.h"

using muster::Regex;

namespace {

std::vector<std::string> all(const std::string& pattern, std::string_view text,
                             Regex::Dialect dialect = Regex::Dialect::python) {
    std::vector<std::string> found;
    for (const Regex::Match& match : Regex(pattern, dialect).find_all(text)) {
        found.emplace_back(text.substr(match[0].begin, match[0].end - match[0].begin));
    }
    return found;
}

using Strings = std::vector<std::string>;
constexpr auto kTokenizer = Regex::Dialect::tokenizer;

}  // namespace

TEST_CASE("search gives groups as byte ranges") {
    const Regex regex(R"((?P<key>\w+)=(\d+)?)");
    const auto match = regex.search("ä ключ=7 b=");
    REQUIRE(match);
    CHECK((*match)[1].begin == 3);
    CHECK((*match)[1].end == 11);
    CHECK((*match)[2].begin == 12);
    const auto second = regex.search("ä ключ=7 b=", (*match)[0].end);
    REQUIRE(second);
    CHECK_FALSE((*second)[2].matched());
    CHECK(regex.num_groups() == 2);
    CHECK(regex.group_number("key") == 1);
    CHECK_FALSE(regex.search("nothing"));
    CHECK_FALSE(regex.search("a=1", 99));
    CHECK_FALSE(regex.search(""));
}

// Expected values: CPython 3.11 re.
TEST_CASE("find_all, split and replace follow Python") {
    CHECK(all("a*", "baac") == Strings{"", "aa", "", ""});
    CHECK(all("a|", "ba") == Strings{"", "a", ""});
    CHECK(Regex("x*").split("axbc") == Strings{"", "a", "", "b", "c", ""});
    CHECK(Regex(",").split("") == Strings{""});
    CHECK(Regex("x*").replace("abxd", "-") == "-a-b--d-");
    CHECK(Regex(R"((?P<a>\w)(\d)?)").replace("x1 y", R"([\g<a>|\2|\g<0>|\n|\\])") ==
          "[x|1|x1|\n|\\] [y||y|\n|\\]");
    CHECK(Regex("é").replace("café", "e") == "cafe");
    CHECK_THROWS_AS(Regex("a").replace("a", R"(\1)"), muster::UserError);
    CHECK_THROWS_AS(Regex("a").replace("a", R"(\q)"), muster::UserError);
    CHECK_THROWS_AS(Regex("a").replace("a", R"(\g<no>)"), muster::UserError);
}

TEST_CASE("Python's classes, anchors and escapes") {
    CHECK(all(R"(\s)", "\x1c\xC2\xA0\xE1\xA0\x8E").size() == 2);  // U+180E is no space
    CHECK(all(R"([^\W\d_]+)", "ab_1é5") == Strings{"ab", "é"});
    CHECK(all(R"([\s\S])", "a\n").size() == 2);
    CHECK(all(R"(a\Z)", "a\n").empty());
    CHECK(all("a$", "a\n").size() == 1);
    CHECK(all("(?m)^b", "a\nb").size() == 1);
    CHECK(all("^b", "a\nb").empty());
    CHECK(all("a.b", "a\rb a\nb") == Strings{"a\rb"});
    CHECK(all(R"([[:alpha:]]+)", "a:h") == Strings{});
    CHECK(all(R"([[a:]+)", "a:[h") == Strings{"a:["});
    CHECK(all(R"(\u00e9\x41\101\0)", std::string_view("éAA\0", 5)).size() == 1);
    CHECK(all("a{,2}", "aaa") == Strings{"aa", "a", ""});
    CHECK(all("a{x", "a{x").size() == 1);
    CHECK(all(R"((a)\1)", "aa").size() == 1);
    CHECK(all(R"((?P<q>['"]).*?(?P=q))", "'a\"b'") == Strings{"'a\"b'"});
    CHECK(all("(?i)straße", "STRAßE").size() == 1);
    CHECK(all("(?x) a  b # comment (\n c", "abc").size() == 1);
    CHECK(all(R"((?a)\w+)", "éa") == Strings{"a"});
    CHECK(all(R"(\bé\b)", "é éa").size() == 1);
    CHECK(all(R"((-?[0-9.,]{2,})|(-?[0-9]+))", "a -1,234.5 7") == Strings{"-1,234.5", "7"});
    CHECK(all(R"([\w.-]+)", "a-b.c") == Strings{"a-b.c"});
    CHECK(Regex("ABC", Regex::Dialect::python, true).search("xabc"));
}

TEST_CASE("Oniguruma's syntax") {
    CHECK(all(R"([\p{L}&&[^\p{Han}]]+)", "ab漢c", kTokenizer) == Strings{"ab", "c"});
    CHECK(all(R"([^a[bc]]+)", "abcd", kTokenizer) == Strings{"d"});
    CHECK(all(R"(\p{N}{1,3}+)", "12345", kTokenizer) == Strings{"12345"});
    CHECK(all("(?m:a.b)", "a\nb", kTokenizer).size() == 1);
    CHECK(all("^b$", "a\nb\nc", kTokenizer).size() == 1);
    CHECK(all(R"([\s-.]+)", "a -.", kTokenizer) == Strings{" -."});
    CHECK(all(R"(\w+)", "e\xCC\x81 x", kTokenizer) == Strings{"e\xCC\x81", "x"});
    CHECK(all(R"(\h+)", "fg", kTokenizer) == Strings{"f"});
    CHECK(all(R"([[:upper:][:^alpha:]]+)", "aB1", kTokenizer) == Strings{"B1"});
    CHECK(all(R"(\p{^Lu}\P{Ll})", "aB", kTokenizer).size() == 1);
    CHECK(all(R"(\p{Uppercase_Letter}\p{lu})", "AB", kTokenizer).size() == 1);
}

TEST_CASE("malformed patterns and hostile texts are UserErrors") {
    for (const char* pattern :
         {"(", ")", "[a", "a\\", "(?P<a", R"(\q)", "(*LIMIT_MATCH=1)a", "*a", "[z-a]", R"([\d-z])",
          "(?R)", "(?<a>b)", R"(\x4)", R"(\U00110000)", "\xff", R"(\2)"}) {
        CAPTURE(pattern);
        CHECK_THROWS_AS(Regex{pattern}, muster::UserError);
    }
    for (const char* pattern :
         {R"(\p{Nonsense})", R"(\pL)", "(?s:.)", "(?P<a>b)", "[[:what:]]", "[a[b]"}) {
        CAPTURE(pattern);
        CHECK_THROWS_AS(Regex(pattern, kTokenizer), muster::UserError);
    }
    CHECK_THROWS_AS(Regex(std::string(5000, '[') + "a", kTokenizer), muster::UserError);
    CHECK_THROWS_AS(Regex(std::string(5000, '(')), muster::UserError);
    CHECK_THROWS_AS(Regex("(a+)+$").search(std::string(100, 'a') + "b"), muster::UserError);
    CHECK_THROWS_AS(Regex("a").search("\xff"), muster::UserError);
}
