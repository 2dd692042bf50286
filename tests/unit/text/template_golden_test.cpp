#include <doctest/doctest.h>

#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/config/parse.h"
#include "muster/text/template.h"

// Replays tests/golden/jinja/cases.json, which scripts/golden/jinja_cases.py made with
// jinja2 3.1.6.

using namespace muster;

namespace {

struct Outcome {
    std::string text;  ///< the output, or the error's message
    bool failed = false;
};

Outcome render(const std::string& source, const Object& context, TemplateOptions options) {
    options.now = "2026-11-20";
    try {
        return {Template(source, "case", options).render(context)};
    } catch (const UserError& error) {
        return {error.what(), true};
    }
}

}  // namespace

TEST_CASE("small templates render as jinja2 renders them") {
    const std::string path = std::string(MUSTER_SOURCE_DIR) + "/tests/golden/jinja/cases.json";
    const Value golden = parse_json(read_file(path), path);
    const Object& context = golden.find("context")->as_object();
    int rendered = 0;
    for (const Value& entry : golden.find("cases")->as_array()) {
        const std::string& source = entry.find("t")->as_string();
        const std::string& mode = entry.find("mode")->as_string();
        for (const bool chat : {true, false}) {
            if (mode != "both" && mode != (chat ? "chat" : "task")) continue;
            const Outcome got = render(
                source, context, chat ? TemplateOptions::chat() : TemplateOptions::task_prompt());
            CAPTURE(source);
            CAPTURE(chat);
            CAPTURE(got.text);
            CHECK(got.failed == (entry.find("error") != nullptr));
            if (const Value* out = entry.find("out")) CHECK(got.text == out->as_string());
            // Every error says where: case:<line>:<column>: …
            if (got.failed) CHECK(got.text.starts_with("case:"));
            ++rendered;
        }
    }
    CHECK(rendered > 350);
}
