// Any template is either refused or renders with a small context, in both sets of options; errors
// are UserErrors that name the place.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "muster/base/error.h"
#include "muster/config/parse.h"
#include "muster/text/template.h"

using namespace muster;

namespace {

const Object& context() {
    static const Value value =
        parse_json(R"({"question": "What is é?", "choices": ["a", "b"], "answer": 1, "x": 2.5,
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "t"}]}],
        "add_generation_prompt": true, "tools": null, "broken": "\u00ff"})",
                   "context");
    return value.as_object();
}

void render(const std::string& source, TemplateOptions options) {
    options.now = "2026-11-20";
    try {
        Template(source, "fuzz", options).render(context());
    } catch (const UserError& error) {
        if (!std::string_view(error.what()).starts_with("fuzz:")) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string source(reinterpret_cast<const char*>(data), size);
    render(source, TemplateOptions::chat());
    render(source, TemplateOptions::task_prompt());
    return 0;
}
