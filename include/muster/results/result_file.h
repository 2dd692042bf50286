#pragma once
// The HDF5 result file: written once, under a temporary name, synced and renamed; read by report, show and verify.
// Layout and stability promise: docs/result-file.md. Paths are absolute HDF5 paths ("/tasks/mmlu/samples").

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "muster/results/table.h"

namespace muster {

/// Version of the layout, stored as the root attribute schema_version.
inline constexpr int kResultSchemaVersion = 1;

/// The path of `name` below `group`, with what HDF5 cannot have in a name escaped ("/" as %2F, "%" as %25).
/// Use it for names from outside: tasks, groups, metrics.
std::string child_path(const std::string& group, const std::string& name);
std::string escape_name(const std::string& name);
std::string unescape_name(const std::string& name);

class ResultWriter {
 public:
    /// Creates `path` + ".tmp". Throws UserError if `path` exists and not `overwrite`, or its folder cannot be written.
    ResultWriter(const std::string& path, bool overwrite);
    /// Removes the temporary file unless commit() succeeded.
    ~ResultWriter();

    /// Checks what the constructor checks, without leaving a file; for use before inference.
    static void check_writable(const std::string& path, bool overwrite);

    void write_group(const std::string& path, const std::string& description);
    /// One dataset per column below the group `path` (made if absent), each with its description and a SHA-256 of its
    /// content. All columns of a group have equally many rows. Column names may be any text.
    void write_columns(const std::string& path, const std::vector<Column>& columns);
    void write_summary(const std::string& path, const std::vector<SummaryRow>& rows);
    void write_attribute(const std::string& path, const std::string& name, const std::string& value);
    void write_attribute(const std::string& path, const std::string& name, std::int64_t value);
    void write_attribute(const std::string& path, const std::string& name, double value);
    /// A scalar UTF-8 string dataset, for texts like the resolved configuration.
    void write_text(const std::string& path, const std::string& text);
    /// Flushes, syncs, renames over `path`, syncs the folder. Throws SystemError (disk full, …); nothing is left then.
    void commit();

 private:
    struct State;
    std::unique_ptr<State> state_;
};

class ResultReader {
 public:
    /// Throws UserError if `path` is missing, no HDF5 file, or of another schema.
    explicit ResultReader(const std::string& path);
    ~ResultReader();

    // Everything below throws UserError for what does not have the expected form, and trusts no size in the file.

    /// Names of the members of a group as they were before escaping, in name order; empty if absent. Use child_path().
    std::vector<std::string> members(const std::string& path) const;
    bool exists(const std::string& path) const;
    /// All columns of a group (description included), in the order of writing. Throws UserError if a column's checksum does not fit and `check`.
    std::vector<Column> read_columns(const std::string& path, bool check = true) const;
    /// One column, or UserError.
    Column read_column(const std::string& group, const std::string& name) const;
    std::vector<SummaryRow> read_summary(const std::string& path) const;
    std::string read_text(const std::string& path) const;
    std::optional<std::string> read_string_attribute(const std::string& path, const std::string& name) const;
    std::optional<std::int64_t> read_integer_attribute(const std::string& path, const std::string& name) const;
    std::optional<double> read_real_attribute(const std::string& path, const std::string& name) const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

/// "1.10.8".
std::string hdf5_version();

}  // namespace muster
