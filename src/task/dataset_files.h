#pragma once
// Where the files of a split lie.

#include <string>
#include <vector>

#include "muster/task/task_spec.h"

namespace muster {

/// True for the dataset_path values that name a file format instead of a dataset of the hub.
bool is_file_format(const std::string& dataset_path);
/// Paths of the split's files, sorted within each pattern. Throws UserError saying what was
/// searched.
std::vector<std::string> find_split_files(const TaskSpec& spec, const std::string& split,
                                          const std::string& data_dir);

}  // namespace muster
