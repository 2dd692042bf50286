#pragma once
// Rows of a split from JSON Lines, JSON arrays, CSV and TSV files. Only rank 0 reads datasets.

#include <string>
#include <string_view>
#include <vector>

#include "muster/config/value.h"
#include "muster/task/task_spec.h"

namespace muster {

/// A split in memory and where it came from.
struct Split {
    std::vector<Value> rows;         ///< objects
    std::vector<std::string> files;  ///< resolved, in order
};

/// Loads `split` of the task: data_files patterns are tried below `data_dir`, then as given, then
/// beside the task file;
/// `{dataset_name}` in a pattern is replaced. A dataset named by its hub id is looked for below
/// `data_dir` (docs/tasks.md). Throws UserError naming task, split, pattern and what was searched.
Split load_split(const TaskSpec& spec, const std::string& split, const std::string& data_dir);

/// RFC 4180 with quoted newlines; the first record is the header. Cells are typed as the `datasets`
/// library's CSV reader (pandas) would: a column whose cells are all integers is integer, and so
/// on; empty cells are null. Throws UserError "<place>:<line>: …" for ragged rows and open quotes.
std::vector<Value> parse_csv(std::string_view text, char separator, const std::string& place);
/// The same with column names, types and null rules given by the task.
std::vector<Value> parse_csv(std::string_view text, const DatasetOptions& options,
                             const std::string& place);
/// JSON Lines, or one JSON array of objects, or one object with a single array-of-objects member.
std::vector<Value> parse_json_rows(std::string_view text, const std::string& place);

}  // namespace muster
