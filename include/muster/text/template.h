#pragma once
// The Jinja engine that renders task prompts and chat templates. A construct outside the subset is
// an error with line and column, never silence. docs/templates.md lists the subset.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "muster/config/value.h"

namespace muster {

struct TemplateOptions {
    bool trim_blocks = false;            ///< drop the newline after a block tag
    bool lstrip_blocks = false;          ///< drop blanks before a block tag
    bool keep_trailing_newline = false;  ///< keep one newline at the end of the source
    bool strict_undefined = true;        ///< printing an undefined name is an error (else "")
    /// Hugging Face's sandbox: methods that change a list or dict are errors, and tojson writes
    /// characters and keys as they come (Jinja's own sorts the keys and escapes <, >, & and ').
    bool sandboxed = false;
    std::string
        now;  ///< ISO date "2026-11-20" that strftime_now() formats; "" makes calling it an error

    /// What lm-evaluation-harness uses: StrictUndefined, keep_trailing_newline, filter
    /// regex_replace.
    static TemplateOptions task_prompt();
    /// What Hugging Face uses for chat templates: trim_blocks, lstrip_blocks, lenient undefined.
    static TemplateOptions chat();
};

/// Error in a template: at parse time or while rendering. what() is "<place>:<line>:<column>: …".
class Template {
 public:
    /// Parses `source`; `place` names it in errors. Throws UserError.
    Template(std::string source, const std::string& place, TemplateOptions options);
    ~Template();
    Template(Template&&) noexcept;
    Template& operator=(Template&&) noexcept;

    /// Renders with the members of `context` as variables. Throws UserError (undefined name, wrong
    /// type, raise_exception(), more than 10 million steps). Const and thread-safe.
    std::string render(const Object& context) const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace muster
