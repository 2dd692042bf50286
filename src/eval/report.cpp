#include "muster/eval/report.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/base/utf8.h"
#include "muster/config/parse.h"

namespace muster {

namespace {

std::string number(double value) {
    if (std::isnan(value)) return "";
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, std::abs(value) < 1e5 ? "%.4f" : "%.4e", value);
    return buffer;
}

/// Shortest digits that read back as the same number.
std::string exact(double value) {
    if (std::isnan(value)) return "";
    char buffer[32];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
    return {buffer, end};
}

const std::vector<std::string> kHeader{"task", "metric", "filter", "value", "stderr", "n"};

std::vector<std::vector<std::string>> cells_of(const std::vector<SummaryRow>& rows) {
    std::vector<std::vector<std::string>> cells;
    for (const SummaryRow& row : rows)
        cells.push_back({row.is_group ? row.task + " (group)" : row.task,
                         cat(row.metric, row.higher_is_better ? " ↑" : " ↓"), row.filter,
                         number(row.value),
                         std::isnan(row.stderr_value) ? "" : cat("± ", number(row.stderr_value)),
                         format_count(static_cast<std::uint64_t>(row.n))});
    return cells;
}

std::string pad(const std::string& text, std::size_t width, bool right) {
    const std::string blanks(width - std::min(width, count_code_points(text)), ' ');
    return right ? blanks + text : text + blanks;
}

std::string csv_cell(const std::string& text) {
    if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
    std::string quoted = "\"";
    for (char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + '"';
}

std::string as_csv(const std::vector<SummaryRow>& rows) {
    std::string out = "task,metric,filter,value,stderr,n,higher_is_better,is_group\n";
    for (const SummaryRow& row : rows)
        out += cat(csv_cell(row.task), ',', csv_cell(row.metric), ',', csv_cell(row.filter), ',',
                   exact(row.value), ',', exact(row.stderr_value), ',', row.n, ',',
                   int{row.higher_is_better}, ',', int{row.is_group}, '\n');
    return out;
}

std::string as_json(const std::vector<SummaryRow>& rows) {
    Array list;
    for (const SummaryRow& row : rows) {
        Object entry;
        entry.set("task", row.task);
        entry.set("metric", row.metric);
        entry.set("filter", row.filter);
        entry.set("value", row.value);
        entry.set("stderr", std::isnan(row.stderr_value) ? Value() : Value(row.stderr_value));
        entry.set("n", row.n);
        entry.set("higher_is_better", row.higher_is_better);
        entry.set("is_group", row.is_group);
        list.push_back(entry);
    }
    return to_json(list, 2) + "\n";
}

std::string markdown_cell(const std::string& text) {
    std::string escaped;
    for (char c : text) escaped += c == '|' ? "\\|" : std::string(1, c);
    return escaped;
}

std::string as_markdown(const std::vector<SummaryRow>& rows) {
    std::string out = "|";
    for (const std::string& name : kHeader) out += cat(" ", name, " |");
    out += "\n|---|---|---|---:|---:|---:|\n";
    for (const auto& cells : cells_of(rows)) {
        out += "|";
        for (const std::string& cell : cells) out += cat(" ", markdown_cell(cell), " |");
        out += "\n";
    }
    return out;
}

std::string run_header(const ResultReader& file) {
    std::ostringstream out;
    const auto text = [&](const char* path, const char* name) {
        return file.read_string_attribute(path, name).value_or("?");
    };
    const Value config = parse_json(file.read_text("/run/config"), "/run/config");
    const Value* model = config.find("model");
    const Value* path = model ? model->find("path") : nullptr;
    out << "model     " << (path && path->is_string() ? path->as_string() : "?") << " ("
        << text("/run/model", "architecture") << ", " << text("/run/model", "dtype") << ")\n"
        << "layout    " << file.read_integer_attribute("/run", "replicas").value_or(0)
        << " replica(s) × " << file.read_integer_attribute("/run", "tensor_parallel").value_or(0)
        << " tensor-parallel rank(s), " << text("/run", "backend") << "\n"
        << "muster    " << text("/run", "muster_version") << " "
        << text("/run", "git_commit").substr(0, 12) << "\n";
    if (const auto seconds = file.read_real_attribute("/run/timing", "total_seconds"))
        out << "time      " << format_duration(*seconds) << ", of which inference "
            << format_duration(
                   file.read_real_attribute("/run/timing", "inference_seconds").value_or(0))
            << "\n";
    if (const std::string work = format_work(file); !work.empty())
        out << "tokens    " << work << "\n";
    return out.str();
}

}  // namespace

std::string format_work(const ResultReader& file) {
    const auto asked = file.read_integer_attribute("/run/timing", "tokens_asked");
    const auto computed = file.read_integer_attribute("/run/timing", "tokens_computed");
    if (!asked || !computed) return "";
    const auto count = [](std::int64_t value) {
        return format_count(static_cast<std::uint64_t>(value));
    };
    const auto real = [&](const char* name) {
        return file.read_real_attribute("/run/timing", name).value_or(0);
    };
    char factor[32];
    std::snprintf(factor, sizeof factor, "%.1f", real("reuse_factor"));
    std::string line =
        cat(count(*asked), " asked, ", count(*computed), " computed, reuse ", factor, "×");
    for (const char* phase : {"prefill", "decode"})
        if (const double rate = real(cat(phase, "_tokens_per_second").c_str()); rate > 0)
            line += cat("; ", phase, " ", count(std::llround(rate)), "/s");
    return line;
}

std::string format_summary(const std::vector<SummaryRow>& rows) {
    std::vector<std::vector<std::string>> lines = cells_of(rows);
    lines.insert(lines.begin(), kHeader);
    std::vector<std::size_t> widths(kHeader.size());
    for (const auto& line : lines)
        for (std::size_t i = 0; i < line.size(); ++i)
            widths[i] = std::max(widths[i], count_code_points(line[i]));
    std::string out;
    for (std::size_t l = 0; l < lines.size(); ++l) {
        std::string text;
        for (std::size_t i = 0; i < lines[l].size(); ++i)
            text += cat(i ? "  " : "", pad(lines[l][i], widths[i], i >= 3));
        while (!text.empty() && text.back() == ' ') text.pop_back();
        out += text + "\n";
        if (l == 0) {
            for (std::size_t i = 0; i < widths.size(); ++i)
                out += cat(i ? "  " : "", std::string(widths[i], '-'));
            out += "\n";
        }
    }
    return out;
}

std::string format_report(const ResultReader& file, ReportFormat format) {
    const std::vector<SummaryRow> rows = file.read_summary("/summary");
    switch (format) {
        case ReportFormat::markdown:
            return as_markdown(rows);
        case ReportFormat::csv:
            return as_csv(rows);
        case ReportFormat::json:
            return as_json(rows);
        case ReportFormat::text:
            break;
    }
    return run_header(file) + "\n" + format_summary(rows);
}

}  // namespace muster
