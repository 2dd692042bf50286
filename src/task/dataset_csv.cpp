// CSV as pandas' C parser reads it with default options (pandas 3.0,
// pandas/_libs/src/parser/tokenizer.c): a quote counts only at the start of a cell, text after a
// closing quote belongs to the cell, blank lines are skipped, records end with LF, CRLF or CR. Rows
// shorter or longer than the header are errors here; pandas fills or refuses them.
#include <algorithm>
#include "csv_types.h"

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/task/dataset.h"

namespace muster {

namespace {

class CsvReader {
 public:
    CsvReader(std::string_view text, char separator, const std::string& place)
        : text_(text), separator_(separator), place_(place) {
        if (text_.starts_with("\xEF\xBB\xBF")) pos_ = 3;
    }

    /// The next record, or false at the end. `line` is where it starts.
    bool next(std::vector<std::string>& cells, std::size_t& line) {
        skip_blank_lines();
        if (pos_ >= text_.size()) return false;
        line = line_;
        cells.clear();
        do cells.push_back(cell());
        while (take_separator());
        take_line_end();
        return true;
    }

 private:
    bool at_line_end() const {
        return pos_ >= text_.size() || text_[pos_] == '\n' || text_[pos_] == '\r';
    }

    void skip_blank_lines() {
        while (pos_ < text_.size()) {
            std::size_t end = pos_;
            while (end < text_.size() && (text_[end] == ' ' || text_[end] == '\t') &&
                   text_[end] != separator_)
                ++end;
            if (end < text_.size() && text_[end] != '\n' && text_[end] != '\r') return;
            pos_ = end;
            take_line_end();
        }
    }

    void take_line_end() {
        if (pos_ >= text_.size()) return;
        if (text_[pos_] == '\r' && pos_ + 1 < text_.size() && text_[pos_ + 1] == '\n') ++pos_;
        ++pos_;
        ++line_;
    }

    bool take_separator() {
        if (pos_ >= text_.size() || text_[pos_] != separator_) return false;
        ++pos_;
        return true;
    }

    std::string cell() {
        std::string out;
        if (pos_ < text_.size() && text_[pos_] == '"') quoted(out);
        while (!at_line_end() && text_[pos_] != separator_) out.push_back(text_[pos_++]);
        return out;
    }

    void quoted(std::string& out) {
        const std::size_t opened = line_;
        ++pos_;
        while (pos_ < text_.size()) {
            const char c = text_[pos_++];
            if (c == '"') {
                if (pos_ >= text_.size() || text_[pos_] != '"') return;
                ++pos_;
            }
            if (c == '\n') ++line_;
            out.push_back(c);
        }
        throw UserError(cat(place_, ":", opened, ": a quote opens here and is never closed"));
    }

    std::string_view text_;
    char separator_;
    const std::string& place_;
    std::size_t pos_ = 0, line_ = 1;
};

/// pandas: an empty name becomes "Unnamed: <column>", a repeated one gets ".1", ".2", …
std::vector<std::string> header_names(std::vector<std::string> cells) {
    std::vector<std::string> names;
    const auto taken = [&](const std::string& name) {
        for (const std::string& other : names)
            if (other == name) return true;
        return false;
    };
    // A made-up name must not be one that a later column brings along.
    const auto given = [&](const std::string& name) {
        return std::find(cells.begin(), cells.end(), name) != cells.end();
    };
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const std::string base = cells[i].empty() ? cat("Unnamed: ", i) : cells[i];
        std::string name = base;
        for (int copy = 1; taken(name) || (copy > 1 && given(name)); ++copy)
            name = cat(base, ".", copy);
        names.push_back(name);
    }
    return names;
}

void check_utf8(std::string_view text, const std::string& place) {
    if (is_valid_utf8(text)) return;
    std::size_t line = 1, start = 0;
    for (std::size_t end; start < text.size(); start = end + 1, ++line) {
        end = std::min(text.find('\n', start), text.size());
        if (!is_valid_utf8(text.substr(start, end - start))) break;
    }
    throw UserError(cat(place, ":", line, ": not valid UTF-8; convert the file to UTF-8"));
}

}  // namespace

std::vector<Value> parse_csv(std::string_view text, const DatasetOptions& options,
                             const std::string& place) {
    check_utf8(text, place);
    CsvReader reader(text, options.separator == '\0' ? ',' : options.separator, place);
    std::vector<std::string> cells;
    std::size_t line = 0;
    std::vector<std::string> names = options.column_names;
    if (options.has_header) {
        if (!reader.next(cells, line))
            throw UserError(cat(place, ": empty; expected a header line"));
        const std::vector<std::string> header = header_names(cells);
        if (names.empty()) names = header;
    }
    std::vector<std::vector<std::string>> columns(names.size());
    while (reader.next(cells, line)) {
        if (cells.size() != names.size())
            throw UserError(cat(place, ":", line, ": ", cells.size(), " cells; expected ",
                                names.size(), " as in the ",
                                options.has_header ? "header" : "list column_names"));
        for (std::size_t i = 0; i < cells.size(); ++i) columns[i].push_back(std::move(cells[i]));
    }
    std::vector<Value> rows;
    const std::size_t count = columns.empty() ? 0 : columns[0].size();
    std::vector<std::vector<Value>> typed;
    for (std::size_t i = 0; i < names.size(); ++i)
        typed.push_back(type_csv_column(std::move(columns[i]), names[i], options, place));
    for (std::size_t row = 0; row < count; ++row) {
        Object object;
        for (std::size_t i = 0; i < names.size(); ++i)
            object.set(names[i], std::move(typed[i][row]));
        rows.emplace_back(std::move(object));
    }
    return rows;
}

std::vector<Value> parse_csv(std::string_view text, char separator, const std::string& place) {
    DatasetOptions options;
    options.separator = separator;
    return parse_csv(text, options, place);
}

}  // namespace muster
