#include <doctest/doctest.h>

#include "prompt.h"

using namespace muster;

namespace {

std::string text_of(const Turn& turn) {
    std::string prompt;
    append_turn(prompt, turn);
    return prompt;
}

}  // namespace

TEST_CASE("an example is question, delimiter, answer, delimiter") {
    CHECK(text_of({"Q?", "A", "", " ", "\n\n"}) == "Q? A\n\n");
    CHECK(text_of({"Q?", std::nullopt, "", " ", "\n\n"}) == "Q?");
    CHECK(text_of({"Q?", "", "", " ", "\n\n"}) ==
          "Q?");  // lm-eval drops delimiters with an empty answer
}

TEST_CASE("a prefix of the answer is joined by a delimiter where no white space is") {
    CHECK(text_of({"Q?", std::nullopt, "So", "|", ""}) == "Q?|So");
    CHECK(text_of({"Q?\n", std::nullopt, "So", "|", ""}) == "Q?\nSo");
    CHECK(text_of({"Q?", "A", "So", "|", ";"}) == "Q?|So A;");
    CHECK(text_of({"Q?", "A", "So ", "|", ";"}) == "Q?|So A;");
    CHECK(text_of({"Q?", "\u00a0A", "So", "|", ";"}) ==
          "Q?|So\u00a0A;");  // a no-break space is white space
    CHECK(text_of({"", std::nullopt, "So", "|", ""}) == "So");
}
