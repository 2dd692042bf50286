// Rows of JSON files. As in the `datasets` library a column that mixes integers and reals holds
// reals. Unlike there, a row that lacks a column other rows have is not filled with null: a prompt
// that needs it names the row instead.
#include <set>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/task/dataset.h"

namespace muster {

namespace {

void check_rows(const std::vector<Value>& rows, const std::string& place) {
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (!rows[i].is_object())
            throw UserError(
                cat(place, ": row ", i, " is ", kind_name(rows[i].kind()), "; expected an object"));
}

/// The only member that is a non-empty array of objects, if the others are scalars; else nullptr.
const Array* rows_member(const Value& document) {
    const Array* rows = nullptr;
    for (const auto& [key, value] : document.as_object().members()) {
        if (value.is_object() || (value.is_array() && rows != nullptr)) return nullptr;
        if (value.is_array() && !value.as_array().empty() && value.as_array().front().is_object())
            rows = &value.as_array();
        else if (value.is_array())
            return nullptr;
    }
    return rows;
}

std::vector<Value> parse_lines(std::string_view text, const std::string& place) {
    std::vector<Value> rows;
    std::size_t line = 1;
    for (std::size_t start = 0, end; start < text.size(); start = end + 1, ++line) {
        end = std::min(text.find('\n', start), text.size());
        const std::string_view row = trim(text.substr(start, end - start));
        if (!row.empty()) rows.push_back(parse_json(row, cat(place, ": row on line ", line)));
    }
    return rows;
}

/// True if the first line holds a complete object and another line follows: JSON Lines.
bool is_json_lines(std::string_view text) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos || trim(text.substr(end)).empty()) return false;
    try {
        return parse_json(trim(text.substr(0, end)), "first line").is_object();
    } catch (const UserError&) {
        return false;
    }
}

void promote_numbers(std::vector<Value>& rows) {
    std::set<std::string, std::less<>> real_columns, integer_columns;
    for (const Value& row : rows)
        for (const auto& [key, value] : row.as_object().members()) {
            if (value.is_real()) real_columns.insert(key);
            if (value.is_integer()) integer_columns.insert(key);
        }
    for (const std::string& key : real_columns) {
        if (!integer_columns.contains(key)) continue;
        for (Value& row : rows)
            if (const Value* value = row.find(key); value != nullptr && value->is_integer())
                row.as_object().set(key, value->as_real());
    }
}

}  // namespace

std::vector<Value> parse_json_rows(std::string_view text, const std::string& place) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    const std::string_view content = trim(text);
    std::vector<Value> rows;
    if (content.empty()) return rows;
    if (content.front() == '{' && is_json_lines(content)) {
        rows = parse_lines(text, place);
    } else {
        Value document = parse_json(text, place);
        const bool lines = place.ends_with(".jsonl");  // a file of one row
        if (document.is_array()) {
            rows = std::move(document.as_array());
        } else if (const Array* member =
                       !lines && document.is_object() ? rows_member(document) : nullptr) {
            rows = *member;
        } else {
            rows.push_back(std::move(document));
        }
    }
    check_rows(rows, place);
    promote_numbers(rows);
    return rows;
}

}  // namespace muster
