#include "muster/eval/request_builder.h"

#include <doctest/doctest.h>

#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/config/parse.h"

namespace muster {
namespace {

const std::string kRoot = MUSTER_SOURCE_DIR;

const Tokenizer& quickstart_tokenizer() {
    static const Tokenizer tokenizer = Tokenizer::load(kRoot + "/configs/quickstart/model");
    return tokenizer;
}

/// Made by scripts/golden/lm_eval_requests.py with lm-evaluation-harness; versions are in the file.
const Value& golden() {
    static const std::string path = kRoot + "/tests/golden/requests/cases.json";
    static const Value cases = parse_json(read_file(path), path);
    return cases;
}

RequestBuilder builder() {
    return {quickstart_tokenizer(), golden().find("max_length")->as_integer(), std::nullopt};
}

std::vector<TokenId> ids_of(const Value& list) {
    std::vector<TokenId> ids;
    for (const Value& id : list.as_array()) ids.push_back(static_cast<TokenId>(id.as_integer()));
    return ids;
}

/// `expected` is [tokens, number of scored ones] or null for a continuation that does not fit.
void check_input(const ScoreInput& input, const Value& expected) {
    CHECK(input.too_long == expected.is_null());
    if (expected.is_null()) return;
    CHECK(input.tokens == ids_of(expected.as_array()[0]));
    CHECK(static_cast<std::int64_t>(input.tokens.size()) - input.first_scored ==
          expected.as_array()[1].as_integer());
}

TEST_CASE("context and continuation are split, moved and truncated as lm-eval does") {
    for (const Value& c : golden().find("pairs")->as_array()) {
        CAPTURE(to_json(c));
        const auto inputs = builder().continuations(c.find("context")->as_string(),
                                                    {c.find("continuation")->as_string()});
        REQUIRE(inputs.size() == 1);
        check_input(inputs[0], *c.find("request"));
    }
}

TEST_CASE("several continuations of one context equal each alone") {
    const std::string context = "Question: What colour is the harnpax?\nAnswer:";
    const std::vector<std::string> answers{" golden", " black and yellow", "x"};
    const auto together = builder().continuations(context, answers);
    REQUIRE(together.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
        const auto alone = builder().continuations(context, {answers[i]});
        CHECK(together[i].tokens == alone[0].tokens);
        CHECK(together[i].first_scored == alone[0].first_scored);
    }
}

TEST_CASE("what texts begin with changes nothing but the time") {
    const std::string examples = "Question: Who sings?\nAnswer: The harnpax.\n\n",
                      context = examples + "Question: What colour is the harnpax?\nAnswer: ";
    const std::vector<std::string> answers{"golden", "black and yellow", "x", ""};
    const TextBeginning beginning = builder().begin(examples);
    CHECK(beginning.bytes > 0);
    const auto with = builder().continuations(context, answers, beginning),
               without = builder().continuations(context, answers);
    REQUIRE(with.size() == answers.size());
    for (std::size_t i = 0; i < answers.size(); ++i) {
        CHECK(with[i].tokens == without[i].tokens);
        CHECK(with[i].first_scored == without[i].first_scored);
    }
    CHECK(builder().prompt(context, 4, beginning).tokens == builder().prompt(context, 4).tokens);
}

TEST_CASE("rolling windows are lm-eval's disjoint windows") {
    for (const Value& c : golden().find("rolling")->as_array()) {
        CAPTURE(to_json(c));
        const auto windows = builder().rolling(c.find("text")->as_string());
        const Array& expected = c.find("windows")->as_array();
        REQUIRE(windows.size() == expected.size());
        for (std::size_t i = 0; i < windows.size(); ++i) check_input(windows[i], expected[i]);
    }
}

TEST_CASE("prompts are cut from the left to leave room for the answer") {
    for (const Value& c : golden().find("prompts")->as_array()) {
        const PromptInput input = builder().prompt(c.find("text")->as_string(), 8);
        CHECK(input.tokens == ids_of(*c.find("tokens")));
        CHECK(input.truncated == (input.tokens.size() == 16));
    }
    CHECK_THROWS_AS(builder().prompt("x", 24), UserError);
}

TEST_CASE("add_bos overrides the tokenizer") {
    const RequestBuilder without(quickstart_tokenizer(), 24, false),
        with(quickstart_tokenizer(), 24, true);
    CHECK(without.encode("Mira").front() != without.prefix_token());
    CHECK(with.encode("Mira") == builder().encode("Mira"));  // this tokenizer adds it anyway, once
}

}  // namespace
}  // namespace muster
