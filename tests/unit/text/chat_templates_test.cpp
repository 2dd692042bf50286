#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/hash.h"
#include "muster/config/parse.h"
#include "muster/text/template.h"

// Real chat templates against hashes of what jinja2 3.1.6 renders in Hugging Face's environment
// (tests/golden/jinja/chat_templates.json, made by scripts/golden/chat_template_hashes.py). The
// templates themselves are third-party files in the shared data folder.

using namespace muster;

namespace {

std::string shared_folder() {
    const char* given = std::getenv("MUSTER_SHARED");
    return given ? given : std::string(MUSTER_SOURCE_DIR) + "/../shared";
}

std::string template_source(const std::string& path) {
    const std::string text = read_file(path);
    if (!path.ends_with(".json")) return text;
    return parse_json(text, path).find("chat_template")->as_string();
}

/// The first 16 digits of the output's hash, or "error".
std::string outcome(const std::string& source, const std::string& name, const Object& context,
                    std::string& error) {
    TemplateOptions options = TemplateOptions::chat();
    options.now = "2026-11-20";
    try {
        return sha256(Template(source, name, options).render(context)).substr(0, 16);
    } catch (const UserError& e) {
        error = e.what();
        return "error";
    }
}

}  // namespace

TEST_CASE("real chat templates render as jinja2 renders them") {
    const std::string folder = shared_folder() + "/data/chat-templates/";
    if (!std::filesystem::exists(folder)) {
        MESSAGE("not run: no shared data at " << folder);
        return;
    }
    const std::string path =
        std::string(MUSTER_SOURCE_DIR) + "/tests/golden/jinja/chat_templates.json";
    const Value golden = parse_json(read_file(path), path);
    int renders = 0;
    for (const auto& [name, hashes] : golden.find("hashes")->as_object().members()) {
        const std::string source = template_source(folder + name);
        for (const auto& [key, expected] : hashes.as_object().members()) {
            const Value* own = golden.find("contexts")->find(key);
            const Value context = own ? *own : parse_json(read_file(folder + key), key);
            std::string error;
            const std::string got = outcome(source, name, context.as_object(), error);
            CAPTURE(name);
            CAPTURE(key);
            CAPTURE(error);
            CHECK(got == expected.as_string());
            ++renders;
        }
    }
    CHECK(renders > 300);
}
