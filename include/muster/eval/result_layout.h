#pragma once
// Between samples and predictions in memory and columns in the result file; the layout is
// docs/result-file.md.

#include <string>
#include <vector>

#include "muster/metric/metric.h"
#include "muster/results/result_file.h"
#include "muster/task/sample.h"
#include "muster/task/task_spec.h"

namespace muster {

/// One task as it is stored.
struct StoredTask {
    TaskSpec spec;
    std::vector<Sample> samples;
    std::vector<Prediction> predictions;
    TaskScores scores;
};

/// Group with its results.
struct StoredGroup {
    GroupSpec spec;
    std::vector<MetricResult> results;
};

void write_task(ResultWriter& file, const StoredTask& task);
void write_group(ResultWriter& file, const StoredGroup& group);

/// Reads back what write_task wrote; request texts are not stored and stay empty. Filtered
/// responses and metric values are those of the file. Throws UserError naming what is missing or
/// damaged.
StoredTask read_task(const ResultReader& file, const std::string& name);
StoredGroup read_group(const ResultReader& file, const std::string& name);
std::vector<std::string> stored_tasks(const ResultReader& file);
std::vector<std::string> stored_groups(const ResultReader& file);

/// /summary: groups first (parents before children), then tasks.
std::vector<SummaryRow> make_summary(const std::vector<StoredTask>& tasks,
                                     const std::vector<StoredGroup>& groups);

/// Names of the leaf tasks below `group`, in order, each once.
std::vector<std::string> leaves_of(const GroupSpec& group, const std::vector<GroupSpec>& groups);

}  // namespace muster
