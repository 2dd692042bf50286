#include "muster/text/template.h"

#include "jinja/evaluator.h"
#include "jinja/parser.h"

// The engine is in jinja/: lexer → parser → syntax tree → evaluator, with filters, tests, methods
// and functions in tables of their own.

namespace muster {

TemplateOptions TemplateOptions::task_prompt() {
    TemplateOptions options;
    options.keep_trailing_newline = true;
    return options;
}

TemplateOptions TemplateOptions::chat() {
    TemplateOptions options;
    options.trim_blocks = true;
    options.lstrip_blocks = true;
    options.strict_undefined = false;
    options.sandboxed = true;
    return options;
}

struct Template::State {
    std::unique_ptr<jinja::Program> program;
};

Template::Template(std::string source, const std::string& place, TemplateOptions options)
    : state_(std::make_unique<State>(State{jinja::parse_template(source, place, options)})) {}

Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

std::string Template::render(const Object& context) const {
    return jinja::Evaluator(*state_->program, context).run();
}

}  // namespace muster
