// Expected values from lm-evaluation-harness 0.4.13's filter classes on the same responses.
#include <doctest/doctest.h>

#include "muster/base/error.h"
#include "muster/task/filter.h"
#include "unit/error_message.h"

using namespace muster;

namespace {

using Texts = std::vector<std::string>;

FilterSpec one(std::string function, Object options = {}) {
    return {"f", {{std::move(function), std::move(options)}}};
}

FilterSpec regex(const char* pattern, int select = 0) {
    Object options;
    options.set("regex_pattern", pattern);
    options.set("group_select", select);
    return one("regex", std::move(options));
}

}  // namespace

TEST_CASE("regex takes the selected match") {
    CHECK(apply_filter(one("regex"), {"so\n#### 1,200 apples", "none", "#### -3 #### 4"}) ==
          Texts{"1,200", "[invalid]", "-3"});
    const FilterSpec flexible = regex("(-?[$0-9.,]{2,})|(-?[0-9]+)", -1);
    CHECK(apply_filter(flexible, {"3 and 45.", "$5", "no number", "a 7"}) ==
          Texts{"45.", "$5", "[invalid]", "7"});
    CHECK(apply_filter(regex("[a-z]+ "), {"AB cd ef"}) ==
          Texts{"cd"});  // without a group the whole match, stripped
    CHECK(apply_filter(regex("(x)?(y)?z"), {"z"}) == Texts{"[invalid]"});  // all groups empty
    CHECK(apply_filter(regex("(?<=the answer is )(.*)(?=.)"), {"so the answer is (B)."}) ==
          Texts{"(B)"});
}

TEST_CASE("a match that is not there gives the fallback") {
    CHECK(apply_filter(regex("[0-9]", 2), {"1 2"}) == Texts{"[invalid]"});
}

TEST_CASE("filters of one response and of all") {
    CHECK(apply_filter(one("take_first"), {"a", "b"}) == Texts{"a"});
    Object two;
    two.set("k", 2);
    CHECK(apply_filter(one("take_first_k", two), {"a", "b", "c"}) == Texts{"a", "b"});
    CHECK(apply_filter(one("remove_whitespace"), {" \u3000a b\n"}) == Texts{"a b"});
    CHECK(apply_filter(one("lowercase"), {"ÄB"}) == Texts{"äb"});
    CHECK(apply_filter(one("uppercase"), {"straße"}) == Texts{"STRASSE"});
    CHECK(apply_filter(one("majority_vote"), {"b", "a", "c", "a", "b"}) == Texts{"b"});
}

TEST_CASE("map") {
    Object mapping, options;
    mapping.set("yes", "1");
    options.set("mapping_dict", mapping);
    options.set("default_value", "0");
    CHECK(apply_filter(one("map", options), {"yes", "no"}) == Texts{"1", "0"});
}

TEST_CASE("unknown functions and options are refused") {
    const auto message = [](const FilterSpec& filter) {
        return test::error_message<UserError>([&] { check_filter(filter, "t.yaml"); });
    };
    CHECK(message(one("take_frist"))
              .find("\"take_frist\" is not available; did you mean \"take_first\"?") !=
          std::string::npos);
    CHECK(message(one("multi_choice_regex")).find("known: lowercase, majority_vote, map, regex") !=
          std::string::npos);
    Object options;
    options.set("regex_patern", "x");
    CHECK(message(one("regex", options)).find("regex_pattern") != std::string::npos);
    CHECK(message(regex("(")).find("regex_pattern") != std::string::npos);
    CHECK(message(one("take_first_k")).find("/k") != std::string::npos);
}
