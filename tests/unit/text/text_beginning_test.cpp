// Encoding a text behind a beginning that was encoded once gives the ids of the whole text,
// wherever the beginning ends and whatever follows it.

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "muster/base/file.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/config/parse.h"
#include "muster/text/regex.h"
#include "muster/text/tokenizer.h"

using namespace muster;

namespace {

const std::string kFolder = MUSTER_SOURCE_DIR "/tests/golden/tokenizers/";

/// The texts that the fixtures were made with.
std::vector<std::string> fixture_texts() {
    const std::string path = kFolder + "gpt2/expected.json";
    const Value expected = parse_json(read_file(path), path);
    std::vector<std::string> texts;
    for (const Value& entry : expected.as_array()) texts.push_back(entry.find("text")->as_string());
    return texts;
}

Tokenizer with_pre_tokenizer(const std::string& pre_tokenizer) {
    const std::string json =
        cat(R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"c":2,"ab":3,"abc":4," ":5," a":6},)",
            R"("merges":["a b",["ab","c"],[" ","a"]]},"pre_tokenizer":)", pre_tokenizer, "}");
    return Tokenizer::from_json(json, "", "tokenizer.json");
}

}  // namespace

TEST_CASE("any beginning of any text, in two steps, with any end") {
    const std::vector<std::string> texts = fixture_texts();
    std::mt19937 random(7);
    for (const std::string name : {"gpt2", "llama3", "llama2", "metaspace", "added"}) {
        CAPTURE(name);
        const Tokenizer tokenizer = Tokenizer::load(kFolder + name);
        std::size_t certain = 0;
        for (int round = 0; round < 400; ++round) {
            const auto any_text = [&] { return texts[random() % texts.size()]; };
            const std::string text = cat(any_text(), any_text(), any_text());
            const std::size_t cut = complete_utf8_prefix(
                                  text.substr(0, random() % (text.size() + 1))),
                              half = complete_utf8_prefix(text.substr(0, random() % (cut + 1)));
            const std::string whole = text.substr(0, cut) + any_text();
            CAPTURE(text);
            CAPTURE(cut);
            CAPTURE(half);
            const TextBeginning first = tokenizer.begin(text.substr(0, half));
            const TextBeginning second = tokenizer.begin(text.substr(0, cut), first);
            const std::vector<TokenId> expected = tokenizer.encode(text, true);
            REQUIRE(tokenizer.encode(text, true, first) == expected);
            REQUIRE(tokenizer.encode(text, true, second) == expected);
            REQUIRE(tokenizer.encode(whole, false, second) == tokenizer.encode(whole, false));
            // One of another text is of no use, and does no harm.
            const TextBeginning other = tokenizer.begin(any_text());
            REQUIRE(tokenizer.encode(text, true, other) == expected);
            certain += second.bytes;
        }
        // It saves something but for the pre-tokenizer that puts a blank before the text.
        CHECK((certain > 0) == (name != "added"));
    }
}

TEST_CASE("all but the last words of a long text are certain") {
    std::string text;
    for (int i = 0; i < 200; ++i)
        text += cat("Question ", i, ": what is 7 + ", i, "?\nAnswer: no\n\n");
    for (const std::string name : {"gpt2", "llama3", "llama2"}) {
        CAPTURE(name);
        const Tokenizer tokenizer = Tokenizer::load(kFolder + name);
        const TextBeginning beginning = tokenizer.begin(text);
        CHECK(beginning.bytes + 80 > beginning.text.size());
        CHECK(tokenizer.begin(text + text, beginning).bytes + 160 > 2 * beginning.text.size());
    }
}

TEST_CASE("a word that what follows would change is not certain") {
    const Tokenizer words = with_pre_tokenizer(
        R"({"type":"Split","pattern":{"Regex":"ab(?!c)|[a-c]| "},"behavior":"Isolated"})");
    CHECK(words.begin("aab").bytes == 1);  // "ab", if no c follows
    CHECK(words.begin("aabb").bytes == 4);
    CHECK(words.encode("aabc", false, words.begin("aab")) == words.encode("aabc", false));
    const Tokenizer looks_back = with_pre_tokenizer(
        R"({"type":"Split","pattern":{"Regex":"(?<=a)b|."},"behavior":"Isolated"})");
    CHECK(looks_back.begin("abab").bytes == 0);
    const Tokenizer anchored =
        with_pre_tokenizer(R"({"type":"Split","pattern":{"Regex":"^a|b"},"behavior":"Isolated"})");
    CHECK(anchored.begin("abab").bytes == 0);
    const Tokenizer merged = with_pre_tokenizer(
        R"({"type":"Split","pattern":{"String":" "},"behavior":"MergedWithNext"})");
    CHECK(merged.begin("a b a").bytes == 0);
    const Tokenizer literal =
        with_pre_tokenizer(R"({"type":"Split","pattern":{"String":" "},"behavior":"Isolated"})");
    CHECK(literal.begin("ab ab").bytes == 3);
}

TEST_CASE("a match is certain if the search did not look at the end") {
    const Regex spaces(R"( ?\p{L}+|\s+(?!\S)|\s+)", Regex::Dialect::tokenizer);
    CHECK_FALSE(spaces.looks_back());
    const auto end_of = [&](std::string_view text, std::size_t from) {
        return spaces.find_certain(text, from).end;
    };
    CHECK(end_of("one two", 0) == 3);
    CHECK(end_of("one two", 3) == std::string_view::npos);
    CHECK(end_of("one  two", 3) == 4);
    CHECK(end_of("one  ", 3) == std::string_view::npos);
    CHECK(end_of("", 0) == std::string_view::npos);
    for (const char* pattern : {"(?<!a)b", R"(\bx)", "^a", "(?m)^a", R"(\Ga)", R"(\X)"}) {
        CAPTURE(pattern);
        CHECK(Regex(pattern, Regex::Dialect::tokenizer).looks_back());
    }
}
