#include "fields.h"

#include <algorithm>
#include <charconv>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/text/python_string.h"

namespace muster {

namespace {

std::vector<std::string> text_list(const Value& value, const char* field) {
    if (!value.is_array())
        throw UserError(cat(field, ": expected a list of texts, got ", kind_name(value.kind())));
    std::vector<std::string> texts;
    for (const Value& element : value.as_array()) {
        if (!element.is_string())
            throw UserError(cat(field, ": expected a list of texts, got ",
                                kind_name(element.kind()), " at ", texts.size()));
        texts.push_back(element.as_string());
    }
    if (texts.empty()) throw UserError(cat(field, ": no choices"));
    return texts;
}

}  // namespace

std::optional<std::int64_t> index_of_digits(const std::string& text) {
    if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos)
        return std::nullopt;
    // ast.literal_eval refuses 007; lm-eval fails there.
    if (text[0] == '0' && text.find_first_not_of('0') != std::string::npos)
        throw UserError(cat("\"", text, "\" is no integer in Python (leading zero)"));
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) throw UserError(cat("\"", text, "\" is too large for an index"));
    return value;
}

Fields::Fields(const TaskSpec& spec, std::set<std::string, std::less<>> columns)
    : spec_(spec), columns_(std::move(columns)) {}

const Value& Fields::column(const Object& doc, const std::string& name, const char* field) const {
    if (const Value* value = doc.find(name)) return *value;
    std::vector<std::string> known;
    for (const auto& [key, unused] : doc.members()) known.push_back(key);
    throw UserError(
        cat(field, ": the document has no field \"", name, "\"; it has: ", join(known, ", ")));
}

std::string Fields::render(const Object& doc, const std::string& source, const char* field) {
    auto found = templates_.find(source);
    if (found == templates_.end())
        found = templates_.emplace(source, Template(source, field, TemplateOptions::task_prompt()))
                    .first;
    return found->second.render(doc);
}

Value Fields::text(const Object& doc, const Value& field) {
    if (field.is_null()) return Value("");
    if (!field.is_string()) return field;
    const std::string& source = field.as_string();
    if (columns_.contains(source)) {
        const Value& value = column(doc, source, "doc_to_text");
        if (value.is_bool()) return Value(std::int64_t{value.as_bool()});
        if (!value.is_string() && !value.is_integer())
            throw UserError(cat("doc_to_text: field \"", source, "\" is ", kind_name(value.kind()),
                                "; expected a text"));
        return value;
    }
    std::string rendered = render(doc, source, "doc_to_text");
    if (!spec_.doc_to_choice.is_null())
        if (const auto index = index_of_digits(rendered)) return Value(*index);
    return Value(std::move(rendered));
}

Value Fields::target(const Object& doc, const Value& field) {
    if (!field.is_string()) return field;
    const std::string& source = field.as_string();
    if (columns_.contains(source)) {
        const Value& value = column(doc, source, "doc_to_target");
        if (value.is_bool()) return Value(std::int64_t{value.as_bool()});  // True is 1 in Python
        return value;
    }
    std::string rendered = render(doc, source, "doc_to_target");
    if (!spec_.doc_to_choice.is_null())
        if (const auto index = index_of_digits(rendered)) return Value(*index);
    if (rendered.size() >= 2 && rendered.front() == '[' && rendered.back() == ']') {
        try {
            return python_literal(rendered);
        } catch (const UserError&) {  // a text that merely looks like a list
        }
    }
    return Value(std::move(rendered));
}

std::vector<std::string> Fields::choices(const Object& doc, const Value& field) {
    if (field.is_array()) return text_list(field, "doc_to_choice");
    if (field.is_object()) {
        Array values;
        for (const auto& [key, value] : field.as_object().members()) values.push_back(value);
        return text_list(Value(std::move(values)), "doc_to_choice");
    }
    const std::string& source = field.as_string();
    if (columns_.contains(source))
        return text_list(column(doc, source, "doc_to_choice"), "doc_to_choice");
    const std::string rendered = render(doc, source, "doc_to_choice");
    Value literal;
    try {
        literal = python_literal(rendered);
    } catch (const UserError& error) {
        throw UserError(cat("doc_to_choice: expected a Python list, got \"",
                            rendered.substr(0, 200), "\": ", error.what()));
    }
    return text_list(literal, "doc_to_choice");
}

std::string Fields::prefix(const Object& doc, const std::string& field) {
    if (field.empty()) return "";
    if (!columns_.contains(field)) return render(doc, field, "gen_prefix");
    const Value& value = column(doc, field, "gen_prefix");
    return value.is_null() ? "" : python_str(value);
}

std::string Fields::resolved(const Object& doc, const std::string& field, const char* name) {
    if (field.empty()) return "";
    if (const Value* value = doc.find(field)) return value->is_null() ? "" : python_str(*value);
    return render(doc, field, name);
}

}  // namespace muster
