#pragma once
// The parts of a task file, read one by one. Each records its problems in `reader` and never
// throws.

#include "muster/config/reader.h"
#include "muster/task/task_spec.h"

namespace muster {

void read_dataset(ConfigReader& reader, TaskSpec& spec);
void read_fewshot(ConfigReader& reader, TaskSpec& spec);
void read_generation(ConfigReader& reader, TaskSpec& spec);
void read_filters(ConfigReader& reader, TaskSpec& spec);
void read_metrics(ConfigReader& reader, TaskSpec& spec);

/// The value of a field that makes text of a document: a template, column name, integer, list or
/// map. Null if absent.
Value read_field(ConfigReader& reader, std::string_view key, bool allow_list, bool allow_object);

}  // namespace muster
