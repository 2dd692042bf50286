#pragma once
// What people read: the table of scores and single samples of a result file.

#include <optional>
#include <string>
#include <vector>

#include "muster/results/result_file.h"

namespace muster {

enum class ReportFormat { text, markdown, csv, json };

/// The summary of `file` in the given format; the text form also says what was run.
std::string format_report(const ResultReader& file, ReportFormat format);
/// How many tokens were asked for and computed, and how fast: one line, "" if `file` does not say.
std::string format_work(const ResultReader& file);
/// Only the table, for the end of a run.
std::string format_summary(const std::vector<SummaryRow>& rows);

struct ShowOptions {
    std::string task;                    ///< "" if the file has one task only
    std::optional<std::int64_t> doc_id;  ///< one document
    bool only_wrong = false;  ///< documents that the task's first accuracy-like metric scores 0
    std::int64_t limit = 10;  ///< at most so many; ignored with doc_id
};
/// Samples as text: prompt, answer, log-likelihoods, scores. Throws UserError for an unknown task
/// or document.
std::string format_samples(const ResultReader& file, const ShowOptions& options);

}  // namespace muster
