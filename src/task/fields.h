#pragma once
// The fields of a task applied to a document, as lm-evaluation-harness 0.4.13 does it
// (lm_eval/api/task.py, ConfigurableTask.doc_to_text, doc_to_target, doc_to_choice, resolve_field).

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "muster/config/value.h"
#include "muster/task/task_spec.h"
#include "muster/text/template.h"

namespace muster {

/// Evaluates fields and keeps their templates parsed. Errors name the field; the caller adds task
/// and document.
class Fields {
 public:
    /// `columns` are those of the evaluated split: a field that is one of them is a column name,
    /// also for few-shot documents.
    Fields(const TaskSpec& spec, std::set<std::string, std::less<>> columns);

    /// A text, or an integer (index into the choices) for tasks whose choices are the contexts.
    Value text(const Object& doc, const Value& field);
    /// A text, an integer (answer index), or a list of either; null for a null column.
    Value target(const Object& doc, const Value& field);
    std::vector<std::string> choices(const Object& doc, const Value& field);
    /// The tested document's gen_prefix: a column of the evaluated split, else a template.
    std::string prefix(const Object& doc, const std::string& field);
    /// A column of this document, else a template: description and the few-shot gen_prefix.
    std::string resolved(const Object& doc, const std::string& field, const char* name);

 private:
    const Value& column(const Object& doc, const std::string& name, const char* field) const;
    std::string render(const Object& doc, const std::string& source, const char* field);

    const TaskSpec& spec_;
    std::set<std::string, std::less<>> columns_;
    std::map<std::string, Template> templates_;
};

/// Python's int(text) rule for rendered fields: only digits, no leading zero but in zeros. Nullopt
/// if not only digits.
std::optional<std::int64_t> index_of_digits(const std::string& text);

}  // namespace muster
