#pragma once
// The group keys of a task file: lm-evaluation-harness 0.4.13, lm_eval/config/group.py.

#include <string>

#include "muster/config/value.h"
#include "muster/task/task_spec.h"

namespace muster {

/// Name, alias and aggregates of a group; members are left empty. Throws UserError.
GroupSpec read_group_spec(const std::string& name, const Object& content, const std::string& file);

}  // namespace muster
